"""[[observers]] of the configuration file: the traffic of some proxies, in a view, in a file."""

import contextlib
import http.client
import json
import os
import re
import socket
from pathlib import Path

import pytest

from deadline import PATIENCE, wait_until
from serve_process import Serve
from server import Server
from weir_process import run_weir

CONFIG = """
[[observers]]
output = "{folder}/all.jsonl"
[[observers]]
show = "raw"
only = "upstream"
output = "{folder}/db.raw"
proxies = ["db"]
when_slow = "block"
[[proxies]]
name = "db"
upstream = "127.0.0.1:{port}"
[[proxies]]
name = "cache"
upstream = "127.0.0.1:{port}"
"""


def test_they_write_what_they_are_told_to(weir_binary, listener, tmp_path):
    config = tmp_path / "weir.toml"
    config.write_text(CONFIG.format(folder=tmp_path, port=listener.address[1]))
    checked = run_weir("check", "-c", config)
    assert checked.returncode == 0, checked.stderr
    again = tmp_path / "again.toml"
    again.write_text(checked.stdout)
    assert run_weir("check", "-c", again).stdout == checked.stdout
    serve = Serve("-c", config, folder=tmp_path)
    try:
        serve.post("/api/v1/proxies", {"name": "late", "upstream": f"127.0.0.1:{listener.address[1]}"})
        for name in ("db", "cache", "late"):
            listen = serve.get(f"/api/v1/proxies/{name}").json["listen"]
            with socket.create_connection(("127.0.0.1", int(listen.rpartition(":")[2])), timeout=20) as client:
                client.sendall(f"to {name}".encode())
                wait_until(lambda: f"to {name}" in (tmp_path / "all.jsonl").read_text(), f"{name}'s bytes are there")
    finally:
        assert serve.stop() == 0, serve.stderr()
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert {each["proxy"] for each in lines if "proxy" in each} == {"db", "cache", "late"}
    assert (tmp_path / "db.raw").read_bytes() == b"to db"


def test_what_is_wrong_is_named(tmp_path):
    config = tmp_path / "weir.toml"
    for text, part in (('show = "jsn"\noutput = "x"', "observers[0].show: "),
                       ("", "observers[0].output: write the file that it goes to"),
                       ('output = "x"\nproxys = ["db"]', 'did you mean "proxies"?'),
                       ('output = "x"\nwhen_slow = "wait"', "observers[0].when_slow: write drop or block")):
        config.write_text(f"[[observers]]\n{text}\n")
        checked = run_weir("check", "-c", config)
        assert checked.returncode == 2
        assert part in checked.stderr
    config.write_text(f'[[observers]]\noutput = "{tmp_path}/missing/x"\n')
    failed = run_weir("serve", "--api", "127.0.0.1:0", "-c", config)
    assert failed.returncode == 1
    assert failed.stderr == f"weir: observers: {tmp_path}/missing/x: No such file or directory\n"


def test_the_files_of_the_documentation_are_right(tmp_path):
    docs = Path(__file__).resolve().parents[2] / "docs"
    for page in ("configuration.md", "log.md"):
        example = re.search(r"```toml\n(.*?)```", (docs / page).read_text(), re.DOTALL)[1]
        file = tmp_path / page
        file.write_text(re.sub(r"/var/log/weir", str(tmp_path), example))
        checked = run_weir("check", "-c", file)
        assert checked.returncode == 0, checked.stderr


HOLDING = """
[[observers]]
show = "raw"
only = "upstream"
output = "{pipe}"
when_slow = "block"
[[proxies]]
name = "db"
upstream = "127.0.0.1:{port}"
"""


@contextlib.contextmanager
def swallowing_server():
    """Reads whatever comes and says nothing; its port."""
    def swallow(connection):
        while connection.recv(1 << 20):
            pass

    with Server(swallow) as server:
        yield server.port


def send_until_it_stands_still(client):
    """Sends until nothing has been taken for a second; how much was."""
    client.settimeout(1.0 * PATIENCE)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while True:
            sent += client.send(b"x" * 65536)
    return sent


def metric(serve, name, **labels):
    """The sample's value; none: there is no such sample."""
    inside = ",".join(f'{key}="{value}"' for key, value in labels.items())
    found = re.search(rf"^{re.escape(name + '{' + inside + '}')} (\S+)$", serve.get("/metrics").text, re.MULTILINE)
    return None if found is None else float(found[1])


def connect_to(serve, proxy):
    listen = serve.get(f"/api/v1/proxies/{proxy}").json["listen"]
    return socket.create_connection(("127.0.0.1", int(listen.rpartition(":")[2])), timeout=20 * PATIENCE)


def test_a_pipe_that_nobody_reads_on_makes_it_not_ready(weir_binary, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    config = tmp_path / "weir.toml"
    with swallowing_server() as port:
        config.write_text(HOLDING.format(pipe=pipe, port=port))
        serve = Serve("-c", config, folder=tmp_path)
        try:
            assert metric(serve, "weir_observer_held_sessions", observer=pipe) == 0
            assert serve.get("/api/v1/ready").json["observers_holding_up"] == []
            with connect_to(serve, "db") as client:
                sent = send_until_it_stands_still(client)
                ready = wait_until(lambda: (answer := serve.get("/api/v1/ready")).status == 503 and answer,
                                   "it is not ready")
                hold = ready.json["observers_holding_up"][0]
                assert (ready.json["ready"], hold["observer"], hold["reader"], hold["sessions"], hold["listeners"]) == (
                    False, str(pipe), None, 1, 0)
                assert hold["seconds"] >= 1
                assert hold["message"].startswith(f"{pipe} has made no room for ")
                assert hold["message"].endswith('holds up 1 session: have its reader read on, or write when_slow = '
                                                '"drop" in its [[observers]] and start weir again')
                assert metric(serve, "weir_observer_held_sessions", observer=pipe) == 1
                assert metric(serve, "weir_observer_stalled_seconds", observer=pipe) >= 1
                waited = metric(serve, "weir_observer_held_seconds_total", observer=pipe)
                assert waited >= 1
                assert metric(serve, "weir_observer_held_seconds_total", observer=pipe) >= waited
                os.set_blocking(reader, True)
                got = 0
                while got < sent:
                    got += len(os.read(reader, 1 << 20))
                wait_until(lambda: serve.get("/api/v1/ready").status == 200, "it is ready again")
                assert metric(serve, "weir_observer_held_sessions", observer=pipe) == 0
                assert metric(serve, "weir_observer_stalled_seconds", observer=pipe) == 0
                assert metric(serve, "weir_observer_held_seconds_total", observer=pipe) >= waited
        finally:
            os.close(reader)
            assert serve.stop() == 0, serve.stderr()


@pytest.mark.parametrize("unix", [False, True])
def test_a_watch_that_does_not_read_makes_it_not_ready_until_it_is_gone(weir_binary, tmp_path, unix):
    config = tmp_path / "weir.toml"
    path = tmp_path / "api"
    with swallowing_server() as port:
        config.write_text(f'[[proxies]]\nname = "db"\nupstream = "127.0.0.1:{port}"\nlisten = "127.0.0.1:0"\n')
        serve = Serve("-c", config, folder=tmp_path)
        if unix:
            other = tmp_path / "other"
            other.mkdir()
            assert serve.stop() == 0
            serve = Serve("-c", config, folder=other, api=f"unix:{path}")
        try:
            watch = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
            watch.connect(str(path) if unix else ("127.0.0.1", serve.port))
            watch.sendall(b"GET /api/v1/watch?when_slow=block&show=raw HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert watch.recv(15) == b"HTTP/1.1 200 OK"
            if unix:
                serve.connection = lambda: UnixConnection(path)
            reader = f"process {os.getpid()}" if unix else "127.0.0.1:{}".format(watch.getsockname()[1])
            with connect_to(serve, "db") as client:
                send_until_it_stands_still(client)
                ready = wait_until(lambda: (answer := serve.get("/api/v1/ready")).status == 503 and answer,
                                   "it is not ready")
                hold = ready.json["observers_holding_up"][0]
                assert (hold["observer"], hold["reader"], hold["sessions"]) == ("watch", reader, 1)
                assert hold["message"].startswith(f"watch of {reader} has made no room for ")
                assert metric(serve, "weir_observer_held_sessions", observer="watch", reader=reader) == 1
                watch.close()
                wait_until(lambda: serve.get("/api/v1/ready").status == 200, "it is ready again")
                assert metric(serve, "weir_observer_held_sessions", observer="watch", reader=reader) is None
                assert metric(serve, "weir_observer_held_seconds_total", observer="watch") >= 1, "it stays"
        finally:
            assert serve.stop() == 0, serve.stderr()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=20 * PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def test_an_observer_that_drops_never_makes_it_not_ready(weir_binary, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    config = tmp_path / "weir.toml"
    with swallowing_server() as port:
        config.write_text(HOLDING.format(pipe=pipe, port=port).replace('"block"', '"drop"'))
        serve = Serve("-c", config, folder=tmp_path)
        try:
            with connect_to(serve, "db") as client:
                for _ in range(640):
                    client.sendall(b"x" * 65536)  # 40 MB: more than the ring and the pipe hold
                assert serve.get("/api/v1/ready").status == 200
                assert metric(serve, "weir_observer_held_sessions", observer=pipe) is None
        finally:
            os.close(reader)
            assert serve.stop() == 0, serve.stderr()
