"""Our own API: /api/v1, its rules of access, events, and the configuration file."""

import json
import os
import signal
import socket

import pytest
import time

from deadline import PATIENCE, wait_until
from serve_process import Serve
from weir_process import run_weir


def test_a_proxy_with_its_faults_is_made_at_once(start):
    serve = start("--seed", 7)
    made = serve.post("/api/v1/proxies", {"name": "db", "upstream": "db:5432", "timeouts": {"idle": "10m"},
                                          "faults": [{"type": "latency", "latency": "100ms"}]})
    assert made.status == 201, made.text
    assert made.json["timeouts"]["idle"] == "10m"
    assert made.json["owner"] == "api"
    (fault,) = made.json["faults"]
    assert (fault["name"], fault["latency"], fault["direction"]) == ("latency_downstream", "100ms", "downstream")
    assert serve.get("/api/v1/version").json["seed"] == 7
    assert serve.get("/api/v1/ready").json == {
        "ready": True, "not_listening": [], "outputs_not_written": [], "observers_holding_up": []}
    assert serve.get("/api/v1/health").json["healthy"] is True


@pytest.mark.parametrize("body,field,part", [
    ({"name": "x", "upstream": "y:1", "lisen": 1}, "lisen", 'did you mean "listen"?'),
    ({"name": "x"}, "upstream", "it is missing: write host:port"),
    ({"name": "x", "upstream": "nonsense"}, "upstream", "nonsense"),
    ({"name": "x", "upstream": "y:1", "enabled": "yes"}, "enabled", "write true or false"),
    ({"name": "x", "upstream": "y:1", "timeouts": {"idel": "1s"}}, "timeouts.idel", 'did you mean "idle"?'),
    ({"name": "x", "upstream": "y:1", "faults": [{"type": "latency", "latency": "soon"}]}, "faults[0]", "soon"),
    ({"name": "x", "upstream": "y:1", "faults": [{"type": "latency"}]}, "faults[0]", "without latency"),
    ({"name": "a/b", "upstream": "y:1"}, "name", "slash"),
])
def test_what_is_wrong_is_named_and_nothing_is_made(start, body, field, part):
    serve = start()
    answer = serve.post("/api/v1/proxies", body)
    assert answer.status == 400
    assert answer.json["field"] == field
    assert part in answer.json["error"]
    assert serve.get("/api/v1/proxies").json == {"proxies": []}


def test_conditional_updates(start):
    serve = start()
    revision = serve.post("/api/v1/proxies", {"name": "db", "upstream": "x:1"}).json["revision"]
    changed = serve.patch("/api/v1/proxies/db", {"upstream": "y:1"}, If_Match=f'"{revision}"')
    assert (changed.status, changed.json["upstream"]) == (200, "y:1")
    late = serve.patch("/api/v1/proxies/db", {"upstream": "z:1"}, If_Match=f'"{revision}"')
    assert late.status == 412
    assert serve.get("/api/v1/proxies/db").json["upstream"] == "y:1"


def test_sessions_are_listed_and_closed(start, listener):
    serve = start()
    proxy = serve.post("/api/v1/proxies", {"name": "db", "upstream": f"127.0.0.1:{listener.address[1]}"}).json
    port = int(proxy["listen"].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"123")
        session = wait_until(lambda: next((each for each in serve.get("/api/v1/sessions").json["sessions"]
                                           if each["bytes_upstream"] == 3), None), "the session is listed", 10.0)
        assert session["client"] == "127.0.0.1:%d" % client.getsockname()[1]
        assert serve.delete(f"/api/v1/proxies/db/sessions/{session['session']}").status == 204
        assert client.recv(1) == b""
    assert serve.delete(f"/api/v1/proxies/db/sessions/{session['session']}").status == 404


def read_events(connection, count):
    """(id, type, data) of the next events of a stream."""
    found, event = [], {}
    while len(found) < count:
        line = connection.readline().decode().rstrip("\n")
        name, _, value = line.partition(": ")
        if name:
            event[name] = value
        elif "data" in event:
            found.append((event.get("id"), event["event"], json.loads(event["data"])))
            event = {}
        else:
            event = {}
    return found


def test_events_resume_where_they_were_left(start):
    serve = start()
    for name in "abc":
        serve.post("/api/v1/proxies", {"name": name, "upstream": "x:1"})
    connection = serve.connection()
    connection.request("GET", "/api/v1/events", headers={"Last-Event-ID": "1"})
    stream = connection.getresponse()
    assert stream.getheader("Content-Type") == "text/event-stream"
    assert [(each[0], each[1], each[2]["proxy"]) for each in read_events(stream, 2)] == [
        ("2", "proxy.created", "b"), ("3", "proxy.created", "c")]
    serve.delete("/api/v1/proxies/a")
    _, kind, data = read_events(stream, 1)[0]
    assert abs(data.pop("time") - time.time()) < 60
    assert (kind, data) == ("proxy.removed", {"proxy": "a", "revision": 4})
    connection.close()


def test_there_are_32_event_streams_and_no_more(start):
    serve = start()
    open_ones = []
    for _ in range(32):
        connection = serve.connection()
        connection.request("GET", "/api/v1/events")
        response = connection.getresponse()
        assert response.status == 200
        open_ones.append(response)  # a response that nobody holds closes its connection
    assert serve.get("/api/v1/events").status == 503
    assert serve.get("/proxies").status == 200
    open_ones.pop().close()
    free = serve.connection()

    def one_more():
        free.close()
        free.request("GET", "/api/v1/events")
        return free.getresponse().status == 200
    wait_until(one_more, "a stream is free", 10.0)
    free.close()


def test_idle_connections_slow_nobody(start):
    serve = start()
    idle = []
    for _ in range(200):
        connection = serve.connection()
        connection.request("GET", "/version")
        connection.getresponse().read()
        idle.append(connection)
    assert serve.get("/version").status == 200
    for connection in idle:
        connection.close()


def test_access_on_loopback(start):
    serve = start()
    assert serve.get("/api/v1/version", Host="evil.example").status == 403
    assert serve.get("/api/v1/version", Origin="http://evil.example").status == 403
    assert serve.get("/api/v1/version", Host="localhost:1").status == 200
    for host in ("127.evil.example", "127.0.0.1.evil.example", "127.1", "localhost.evil.example", "[::1].evil:80", "127.0.0.1:80.evil", ""):
        assert serve.get("/api/v1/version", Host=host, Origin=f"http://{host}").status == 403, host
    for host in ("127.0.0.1", "127.8.9.10:77", "[::1]", "[::1]:80", "localhost"):
        assert serve.get("/api/v1/version", Host=host).status == 200, host


def test_a_token_is_asked_for(start):
    serve = start(environment={"WEIR_TOKEN": "secret"})
    assert serve.get("/api/v1/version").status == 401
    assert serve.get("/metrics").status == 401
    assert serve.get("/proxies").status == 401
    assert serve.get("/proxies", Authorization="Bearer secret").status == 200
    assert serve.get("/proxies", Authorization="Bearer secrets").status == 401


def test_beyond_this_machine(start, weir_binary):
    refused = run_weir("serve", "--api", ":0")
    assert refused.returncode == 1
    assert "the API would be open to other machines" in refused.stderr
    serve = start("--compat-open", api=":0")
    assert serve.get("/proxies").status == 200
    assert serve.get("/api/v1/proxies").status == 401
    assert serve.get("/metrics").status == 401


def test_big_and_broken_requests(start):
    serve = start()
    assert serve.post("/proxies", "x" * (1024 * 1024 + 1)).status == 413
    assert serve.get("/proxies", X_Long="x" * 20000).status == 431
    with socket.create_connection(("127.0.0.1", serve.port), timeout=10 * PATIENCE) as client:
        client.sendall(b"rubbish\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 400 ")
    assert serve.get("/proxies").status == 200


def test_a_target_with_scheme_and_host_is_understood(start):
    serve = start()
    for target, status in ((f"http://127.0.0.1:{serve.port}/api/v1/version?x=1", 200), ("HTTP://localhost/api/v1/version", 200),
                           ("http://localhost", 404), ("http://evil.example/api/v1/version", 403)):
        with socket.create_connection(("127.0.0.1", serve.port), timeout=10 * PATIENCE) as client:
            client.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert client.recv(12).decode() == f"HTTP/1.1 {status}", target


def test_openapi_lists_what_answers(start):
    serve = start()
    serve.post("/api/v1/proxies", {"name": "p", "upstream": "x:1", "diagnose": True,
                                    "faults": [{"type": "stall", "name": "f"}]})
    paths = serve.get("/api/v1/openapi.json").json["paths"]
    assert set(paths["/api/v1/leases"]) == {"get", "post"} and "requestBody" not in paths["/api/v1/leases"]["post"]
    assert set(paths["/api/v1/proxies/{proxy}/holds/{hold}"]) == {"delete"}
    for path, operations in paths.items():
        real = path.format(proxy="p", fault="f", session="1", lease="l", hold="h")
        if "get" in operations and not real.endswith(("/events", "/watch")):  # have no end
            assert serve.get(real).status == 200, path
        assert serve.ask("PUT", real).status == 405, path


CONFIG = """
seed = 5
[timeouts]
idle = "5m"
[[proxies]]
name = "db"
upstream = "127.0.0.1:1"
[[proxies.faults]]
type = "latency"
latency = "10ms"
[[proxies]]
name = "cache"
upstream = "127.0.0.1:2"
enabled = false
"""


def test_the_configuration_file(start, tmp_path):
    file = tmp_path / "weir.toml"
    file.write_text(CONFIG)
    serve = start("-c", file)
    assert serve.get("/api/v1/version").json["seed"] == 5
    db = serve.get("/api/v1/proxies/db").json
    assert (db["owner"], db["timeouts"]["idle"]) == ("config", "5m")
    assert db["faults"][0]["latency"] == "10ms"
    serve.post("/api/v1/proxies", {"name": "mine", "upstream": "x:1"})
    serve.post("/api/v1/proxies/db/faults", {"type": "stall", "name": "added"})

    file.write_text(CONFIG.replace("10ms", "20ms").partition('[[proxies]]\nname = "cache"')[0])
    serve.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "read again" in serve.stderr(), "the file is read again", 10.0)
    after = {each["name"]: each for each in serve.get("/api/v1/proxies").json["proxies"]}
    assert sorted(after) == ["db", "mine"]
    assert after["db"]["listen"] == db["listen"]
    assert {each["name"] for each in after["db"]["faults"]} == {"latency_downstream", "added"}
    assert after["db"]["faults"][0]["latency"] == "20ms"

    file.write_text("[[proxies]]\nnam = 1\n")
    serve.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "nothing was changed" in serve.stderr(), "the bad file is refused", 10.0)
    assert f"{file}:2: proxies[0].nam: there is no key \"nam\" here; did you mean \"name\"?" in serve.stderr()
    assert len(serve.get("/api/v1/proxies").json["proxies"]) == 2


def test_a_file_that_cannot_be_read_again_changes_nothing(start, tmp_path):
    """Nor does it wait for anybody, or end what runs."""
    file = tmp_path / "weir.toml"
    file.write_text(CONFIG)
    serve = start("-c", file)
    deep = "a" + ".a" * 20000

    def a_pipe():
        os.mkfifo(file)

    for make, words in ((file.mkdir, "Is a directory"), (a_pipe, "nothing came from it"), (lambda: None, "No such file or directory"),
                        (lambda: file.write_text(f"{deep}=1\n"), ":1: a key of more than 64 parts"),
                        (lambda: file.write_text(f"\n[{deep}]\n"), ":2: a key of more than 64 parts"),
                        (lambda: file.write_text("[" * 5000), ":1: ")):
        if file.is_dir():
            file.rmdir()
        else:
            file.unlink(missing_ok=True)
        make()
        before = serve.stderr().count("nothing was changed")
        serve.process.send_signal(signal.SIGHUP)
        wait_until(lambda before=before: serve.stderr().count("nothing was changed") > before, f"it says: {words}")
        assert words in serve.stderr().splitlines()[-1]
        assert len(serve.get("/api/v1/proxies").json["proxies"]) == 2
        assert run_weir("check", "-c", file).returncode == 2


def test_what_failed_is_tried_again_with_the_next_sighup(start, tmp_path):
    file = tmp_path / "weir.toml"
    file.write_text("")
    serve = start("-c", file)

    def hang_up(times):
        serve.process.send_signal(signal.SIGHUP)
        wait_until(lambda: serve.stderr().count("read again") == times, "the file is read again")
        return {each["name"]: each for each in serve.get("/api/v1/proxies").json["proxies"]}

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file.write_text(f'[[proxies]]\nname = "new"\nlisten = "127.0.0.1:{port}"\nupstream = "x:1"\n')
        assert hang_up(1) == {}
        assert "SIGHUP tries it again" in serve.stderr()
        assert hang_up(2) == {}
    was = hang_up(3)["new"]
    assert was["enabled"]

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file.write_text(f'[[proxies]]\nname = "new"\nlisten = "127.0.0.1:{port}"\nupstream = "x:1"\n')
        stays = hang_up(4)["new"]
        assert stays["enabled"] and stays["listen"] == was["listen"]
    moved = hang_up(5)["new"]
    assert moved["enabled"] and moved["listen"] == f"127.0.0.1:{port}"


def test_descriptors_and_pipes_that_lead_nowhere_are_refused(weir_binary, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    ran = run_weir("serve", "--api", "127.0.0.1:0", "--ready-fd", 77)
    assert ran.returncode == 1 and "--ready-fd 77: this descriptor is not open" in ran.stderr
    ran = run_weir("tap", "-o", pipe, 0, "127.0.0.1:1")
    assert ran.returncode == 1 and "nobody reads this pipe: start its reader first" in ran.stderr
    file = tmp_path / "weir.toml"
    file.write_text(f'[[observers]]\noutput = "{pipe}"\n')
    ran = run_weir("serve", "--api", "127.0.0.1:0", "-c", file)
    assert ran.returncode == 1 and "nobody reads this pipe" in ran.stderr


def test_check(weir_binary, tmp_path):
    file = tmp_path / "weir.toml"
    file.write_text(CONFIG)
    good = run_weir("check", "-c", file)
    assert good.returncode == 0, good.stderr
    assert "10ms" in good.stdout
    again = tmp_path / "effective.toml"
    again.write_text(good.stdout)
    assert run_weir("check", "-c", again).stdout == good.stdout
    file.write_text("seed = \n")
    bad = run_weir("check", "-c", file)
    assert bad.returncode == 2
    assert bad.stderr.startswith(f"weir: {file}:1: ")


def test_sockets_go_when_listening_ends_and_not_later(weir_binary, tmp_path, listener):
    """A successor may listen there while the sessions drain: its sockets stay."""
    paths = [tmp_path / name for name in ("api", "db")]
    config = tmp_path / "weir.toml"
    config.write_text(f'[[proxies]]\nname = "db"\nlisten = "unix:{paths[1]}"\nupstream = "{listener.text}"\n')
    options = ("--config", config, "--drain", "off")
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    first = Serve(*options, folder=folders[0], api=f"unix:{paths[0]}")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(paths[1]))
        server, _ = listener.sock.accept()
        with server:
            first.process.send_signal(signal.SIGTERM)
            wait_until(lambda: not any(path.exists() for path in paths), "the sockets are gone")
            second = Serve(*options, folder=folders[1], api=f"unix:{paths[0]}")
            client.sendall(b"still")
            assert server.recv(5) == b"still"
    assert first.process.wait(20 * PATIENCE) == 0
    assert all(path.is_socket() for path in paths)
    assert second.stop() == 0
    assert not any(path.exists() for path in paths)


def test_nothing_listens_again_while_sessions_drain(weir_binary, tmp_path, listener):
    """Neither by a file that is read again nor by changes that wait for their turn."""
    config = tmp_path / "weir.toml"
    config.write_text(f'[[proxies]]\nname = "db"\nupstream = "{listener.text}"\n')
    serve = Serve("--config", config, "--drain", "off", folder=tmp_path)
    port = int(serve.get("/proxies/db").json["listen"].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as client, listener.sock.accept()[0] as server:
        client.sendall(b"x")
        assert server.recv(1) == b"x"
        config.write_text(config.read_text() + f'[[proxies]]\nname = "late"\nlisten = "unix:{tmp_path}/late"\nupstream = "x:1"\n')
        serve.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "draining" in serve.stderr(), "the drain has begun")
        serve.process.send_signal(signal.SIGHUP)
        client.sendall(b"y")
        assert server.recv(1) == b"y"
        assert not (tmp_path / "late").exists()
    assert serve.process.wait(20 * PATIENCE) == 0
    assert "proxy.created proxy=late" not in serve.stderr() and not (tmp_path / "late").exists()
