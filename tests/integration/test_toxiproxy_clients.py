"""Programs made for toxiproxy, unmodified; and Weir under toxiproxy's own names."""

import os
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import threading
from pathlib import Path

import pytest

from deadline import PATIENCE
from serve_process import Serve
from weir_process import BINARY

# Where npm put the package; scripts/test lets it do so (tests/foreign/node/package.json).
NODE_MODULES = Path(os.environ.get("WEIR_NODE_MODULES",
                                   Path(__file__).resolve().parents[2] / "build" / "node" / "node_modules"))


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)


@pytest.fixture
def echo():
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def serve(weir_binary, tmp_path):
    it = Serve(folder=tmp_path)
    yield it
    assert it.stop() == 0, it.stderr()


def test_the_node_client(serve, echo):
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    if not (NODE_MODULES / "toxiproxy-node-client").is_dir():
        pytest.skip(f"toxiproxy-node-client is not in {NODE_MODULES}: scripts/test installs it where npm and a "
                    "registry are to be had")
    script = Path(__file__).with_name("toxiproxy_node.js")
    run = subprocess.run(["node", script, f"http://127.0.0.1:{serve.port}", str(echo)], capture_output=True, text=True,
                         timeout=60 * PATIENCE, check=False, env={**os.environ, "NODE_PATH": str(NODE_MODULES)})
    assert (run.returncode, run.stdout) == (0, "ok\n"), run.stderr


@pytest.fixture
def called(tmp_path):
    """The program under another name."""
    def link(name):
        path = tmp_path / name
        path.symlink_to(BINARY)
        return path
    return link


def test_the_cli_under_toxiproxys_name(serve, called):
    program = called("toxiproxy-cli")

    def run(*words, code=0):
        done = subprocess.run([program, "--host", f"http://127.0.0.1:{serve.port}", *words], capture_output=True,
                              text=True, timeout=20 * PATIENCE, check=False)
        assert done.returncode == code, done.stderr
        return done.stdout
    assert run("create", "-l", "127.0.0.1:0", "-u", "localhost:1", "db") == "Created new proxy db\n"
    assert run("t", "a", "-t", "latency", "-a", "latency=100", "-a", "jitter=5", "db") == (
        "Added downstream latency toxic 'latency_downstream' on proxy 'db'\n")
    assert run("inspect", "db") == ("latency_downstream\ttype=latency\tstream=downstream\ttoxicity=1.00\t"
                                    "attributes=[\tjitter=5\tlatency=100\t]\n")
    assert run("toxic", "update", "-n", "latency_downstream", "--tox", "0.5", "db") == (
        "Updated toxic 'latency_downstream' on proxy 'db'\n")
    assert run("toggle", "db") == "Proxy db is now disabled\n"
    listen = serve.get("/proxies/db").json["listen"]
    assert run("list") == f"db\t{listen}\tlocalhost:1\tdisabled\t1\n"
    assert run("t", "r", "-n", "latency_downstream", "db") == "Removed toxic 'latency_downstream' on proxy 'db'\n"
    assert run("toxic", "add", "--upstream", "--type=latency", "--toxicName=late", "--attribute=latency=1000",
               "--attribute", "jitter=50", "--toxicity=0.99", "db") == "Added upstream latency toxic 'late' on proxy 'db'\n"
    assert run("inspect", "db") == ("late\ttype=latency\tstream=upstream\ttoxicity=0.99\t"
                                    "attributes=[\tjitter=50\tlatency=1000\t]\n")
    assert run("delete", "db") == "Deleted proxy db\n"
    run("delete", "db", code=1)


def test_the_cli_fails_as_toxiproxys_does(serve, called):
    """As toxiproxy-cli 2.12 did, run through a pipe against the same server; its usage, which it prints too, aside."""
    program = called("toxiproxy-cli")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "{}:{}".format(*taken.getsockname())
        for words, code, said in (
                (("create", "-l", "127.0.0.1:0", "-u", "127.0.0.1:1", "db"), 0, ""),
                (("create", "db"), 1, "Required argument 'listen' was empty."),
                (("create", "-l", "127.0.0.1:0", "x"), 1, "Required argument 'upstream' was empty."),
                (("create", "-l", "127.0.0.1:0"), 1, "Proxy name is required as the first argument."),
                (("create", "-l", "127.0.0.1:0", "-u", "a:1", "db"), 1,
                 "Failed to create proxy: Create: HTTP 409: proxy already exists"),
                (("create", "-l", address, "-u", "a:1", "x"), 1,
                 f"Failed to create proxy: Create: HTTP 500: listen tcp {address}: bind: address already in use"),
                (("toxic", "add", "-t", "latency", "-n", "late", "db"), 0, ""),
                (("toxic", "add", "-t", "latency", "-n", "late", "db"), 1,
                 "Failed to add toxic: failed to add toxic to proxy db: AddToxic: HTTP 409: toxic already exists"),
                (("toxic", "add", "-t", "nope", "db"), 1,
                 "Failed to add toxic: failed to add toxic to proxy db: AddToxic: HTTP 400: invalid toxic type"),
                (("toxic", "add", "-t", "latency", "-a", "latency=1.5", "db"), 1,
                 "Failed to add toxic: failed to add toxic to proxy db: AddToxic: HTTP 400: bad request body: json: "
                 "cannot unmarshal number 1.5 into Go struct field latency.latency of type int64"),
                (("toxic", "add", "-t", "latency", "-a", "latency=abc", "db"), 1,
                 "Failed to add toxic: failed to add toxic to proxy db: AddToxic: HTTP 400: bad request body: json: "
                 "cannot unmarshal string into Go struct field latency.latency of type int64"),
                (("toxic", "add", "db"), 1, "Required argument 'type' was empty."),
                (("toxic", "add", "-t", "latency"), 1, "Proxy name is missing."),
                (("toxic", "add", "-t", "latency", "nope"), 1,
                 "Failed to add toxic: failed to retrieve proxy with name `nope`: HTTP 404: proxy not found"),
                (("toxic", "add", "-t", "latency", "-u", "-d", "db"), 1,
                 "Only one should be specified: upstream or downstream."),
                (("toxic", "add", "-t", "latency", "--toxicity", "2", "db"), 1,
                 "toxicity should be a float between 0 and 1."),
                (("toxic", "update", "-n", "nope", "-a", "rate=7", "db"), 1,
                 "Failed to update toxic: failed to update toxic 'nope' of proxy 'db': HTTP 404: toxic not found"),
                (("toxic", "update", "-n", "late", "nope"), 1,
                 "Failed to update toxic: failed to retrieve proxy with name `nope`: HTTP 404: proxy not found"),
                (("toxic", "remove", "-n", "nope", "db"), 1,
                 "Failed to remove toxic: failed to remove toxic 'nope' from proxy 'db': HTTP 404: toxic not found"),
                (("inspect", "nope"), 1, "Failed to retrieve proxy nope: HTTP 404: proxy not found"),
                (("inspect",), 1, "Proxy name is required as the first argument."),
                (("toggle", "nope"), 1, "Failed to retrieve proxy nope: HTTP 404: proxy not found"),
                (("delete", "nope"), 1, "Failed to retrieve proxy nope: HTTP 404: proxy not found")):
            done = subprocess.run([program, "-h", f"http://127.0.0.1:{serve.port}", *words], capture_output=True, text=True,
                                  timeout=20 * PATIENCE, check=False)
            assert (done.returncode, done.stderr) == (code, f"{said}\n\n" if said else ""), words
    for words in (("bogus",), ("toxic", "bogus")):
        done = subprocess.run([program, *words], capture_output=True, text=True, timeout=20 * PATIENCE, check=False)
        assert (done.returncode, done.stderr) == (3, "No help topic for 'bogus'\n")


def test_the_server_under_toxiproxys_name(called, tmp_path):
    program = called("toxiproxy-server")
    version = subprocess.run([program, "-version"], capture_output=True, text=True, check=True)
    assert version.stdout == "toxiproxy-server version 2.12.0\n"
    config = tmp_path / "config.json"
    config.write_text('[{"name":"db","listen":"localhost:0","upstream":"x:1","colour":"red"}]')
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    serve = Serve("-port", port, "--host=localhost", "-config", config, "-seed", "-5", folder=tmp_path, program=program)
    try:
        assert list(serve.get("/proxies").json) == ["db"]
        assert "colour" in serve.stderr()
        taken = subprocess.run([program, "-port", str(port)], capture_output=True, text=True, timeout=20 * PATIENCE,
                               check=False)
        assert taken.returncode == 1
        assert "Address already in use" in taken.stderr
        serve.process.send_signal(signal.SIGTERM)
        assert serve.process.wait(20 * PATIENCE) == 0
    finally:
        serve.stop()


def test_weirs_own_client(serve, weir_binary):
    def run(*words, code=0):
        done = subprocess.run([BINARY, *words], capture_output=True, text=True, timeout=20 * PATIENCE, check=False,
                              env={**os.environ, "WEIR_URL": f"http://127.0.0.1:{serve.port}"})
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr
    assert run("proxy", "add", "db", "0", "localhost:1").startswith("db\t127.0.0.1:")
    assert run("fault", "add", "db", "type=latency", "latency=100ms").startswith(
        "latency_downstream\tlatency\tdownstream\t1")
    added = run("fault", "add", "db", "bandwidth", "rate=1MB/s", "name=cap")  # the kind first, as --fault takes it
    assert added == "cap\tbandwidth\tdownstream\t1.0\t0\tscope=session rate=1000KB/s\n"
    run("fault", "remove", "db", "cap")
    assert "latency=200ms" in run("fault", "set", "db", "latency_downstream", "latency=200ms")
    assert '"latency":"200ms"' in run("fault", "list", "db", "--json")
    assert "packet_loss" in run("fault", "catalog")
    run("proxy", "disable", "db")
    assert "\tdisabled\t1" in run("proxy", "list")
    assert run("sessions") == ""
    events = run("events")
    assert "proxy.created" in events
    assert all(re.match(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z ", line) for line in events.splitlines()), events
    assert run("fault", "set", "db", "nope", "latency=1s", code=1) == 'weir: this proxy has no fault "nope"\n'
    run("fault", "remove", "db", "latency_downstream")
    run("proxy", "remove", "db")
    assert run("proxy", "list") == ""
