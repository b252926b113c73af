"""Leases: what a client holds goes within a second of its connection, and nothing else does."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from deadline import PATIENCE, wait_until
from test_native_api import CONFIG, read_events
from weir_process import BINARY, run_weir


class Lease:
    """An open lease; close() cuts its connection without a word to the API."""

    def __init__(self, port, room_socket=None):
        self.socket = room_socket or socket.create_connection(("127.0.0.1", port), timeout=20 * PATIENCE)
        if room_socket:
            room_socket.connect(("127.0.0.1", port))
        self.socket.sendall(b"POST /api/v1/leases HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        self.head = b""
        while b"\n\n" not in self.head.partition(b"\r\n\r\n")[2]:
            data = self.socket.recv(4096)
            assert data, self.head
            self.head += data
        self.id = re.search(rb"Weir-Lease: (\w+)", self.head)[1].decode()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def names(serve):
    return [each["name"] for each in serve.get("/api/v1/proxies").json["proxies"]]


def gone_within_a_second(serve, condition, what):
    began = time.monotonic()
    wait_until(condition, what, 1.0)
    return time.monotonic() - began


def test_what_carries_a_lease_goes_with_its_connection(start):
    serve = start()
    serve.post("/api/v1/proxies", {"name": "db", "upstream": "127.0.0.1:1"})
    with Lease(serve.port) as lease:
        assert b"HTTP/1.1 201 " in lease.head and b"text/event-stream" in lease.head
        made = serve.post("/api/v1/proxies", {"name": "own", "upstream": "127.0.0.1:1",
                                              "faults": [{"type": "stall"}]}, Weir_Lease=lease.id)
        assert (made.status, made.json["lease"], made.json["faults"][0]["lease"]) == (201, lease.id, lease.id)
        fault = serve.post("/api/v1/proxies/db/faults", {"type": "noop"}, Weir_Lease=lease.id, Weir_Id="mine")
        assert (fault.json["lease"], fault.json["id"]) == (lease.id, "mine")
        serve.post("/api/v1/proxies/db/faults", {"type": "stall", "name": "others"})
        serve.post("/api/v1/proxies/own/faults", {"type": "noop", "name": "others"})
        hold = serve.post("/api/v1/proxies/db/holds", Weir_Lease=lease.id)
        assert hold.status == 201
        shown = serve.get("/api/v1/proxies/db").json
        assert (shown["enabled"], shown["desired_enabled"], shown["holds"]) == (False, True, [hold.json])
        (listed,) = serve.get("/api/v1/leases").json["leases"]
        assert listed == {"id": lease.id, "proxies": ["own"], "holds": [{"proxy": "db", "hold": hold.json["id"]}],
                          "faults": [{"proxy": "db", "fault": "noop_downstream"},
                                     {"proxy": "own", "fault": "stall_both"}]}
    wait_until(lambda: names(serve) == ["db"], "its proxy is gone", 1.0)
    shown = serve.get("/api/v1/proxies/db").json
    assert (shown["enabled"], shown["holds"]) == (True, [])
    assert [each["name"] for each in shown["faults"]] == ["others"]
    assert serve.get("/api/v1/leases").json == {"leases": []}


@pytest.mark.parametrize("how", ["fin", "half-close", "reset"])
def test_each_end_of_a_connection_ends_the_lease(start, how):
    serve = start()
    lease = Lease(serve.port)
    serve.post("/api/v1/proxies", {"name": "own", "upstream": "127.0.0.1:1"}, Weir_Lease=lease.id)
    if how == "half-close":
        lease.socket.shutdown(socket.SHUT_WR)
    else:
        if how == "reset":
            lease.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        lease.close()
    wait_until(lambda: names(serve) == [], "its proxy is gone", 1.0)
    lease.close()


def test_a_client_that_talks_on_the_leases_connection_may_leave_all_the_same(start):
    serve = start()
    with Lease(serve.port) as lease:
        serve.post("/api/v1/proxies", {"name": "own", "upstream": "127.0.0.1:1"}, Weir_Lease=lease.id)
        with contextlib.suppress(OSError):
            lease.socket.sendall(b"x" * 1_000_000)
    wait_until(lambda: names(serve) == [], "its proxy is gone", 1.0)


def test_a_lease_that_is_ended_is_gone_before_the_answer_and_ends_once(start):
    serve = start()
    with Lease(serve.port) as lease:
        serve.post("/api/v1/proxies", {"name": "own", "upstream": "127.0.0.1:1"}, Weir_Lease=lease.id)
        assert serve.delete(f"/api/v1/leases/{lease.id}").status == 204
        assert names(serve) == []
        assert serve.delete(f"/api/v1/leases/{lease.id}").status == 404
        late = serve.post("/api/v1/proxies", {"name": "late", "upstream": "127.0.0.1:1"}, Weir_Lease=lease.id)
        assert (late.status, late.json["field"]) == (409, "Weir-Lease")
        serve.post("/api/v1/proxies", {"name": "own", "upstream": "127.0.0.1:1"})  # another's, of the same name
    events = serve.get("/api/v1/events?follow=false&after=0").text
    assert events.count("event: lease.ended") == 1
    assert names(serve) == ["own"]


def test_what_a_lease_is_not_given_for(start):
    serve = start()
    serve.post("/api/v1/proxies", {"name": "db", "upstream": "127.0.0.1:1"})
    unknown = serve.post("/api/v1/proxies/db/faults", {"type": "noop"}, Weir_Lease="nonsense")
    assert (unknown.status, unknown.json["field"]) == (409, "Weir-Lease")
    assert serve.get("/api/v1/proxies/db/faults").json["faults"] == []
    none = serve.post("/api/v1/proxies/db/holds")
    assert none.status == 400 and "a hold needs a lease" in none.json["error"]
    with Lease(serve.port) as lease:
        bad = serve.post("/api/v1/proxies/db/holds", Weir_Lease=lease.id, Weir_Id="a b")
        assert (bad.status, bad.json["field"]) == (400, "Weir-Id")
        assert serve.post("/api/v1/proxies/db/holds", Weir_Lease=lease.id, Weir_Id="h").status == 201
        assert serve.post("/api/v1/proxies/db/holds", Weir_Lease=lease.id, Weir_Id="h").status == 409
        assert serve.delete("/api/v1/proxies/db/holds/h").status == 204
        assert serve.delete("/api/v1/proxies/db/holds/h").status == 404


def test_an_id_is_one_object_and_not_what_has_its_name_now(start):
    serve = start()
    first = serve.post("/api/v1/proxies", {"name": "db", "upstream": "127.0.0.1:1"}).json
    fault = serve.post("/api/v1/proxies/db/faults", {"type": "noop", "name": "f"}).json
    for path, of in (("/api/v1/proxies/db", first), ("/api/v1/proxies/db/faults/f", fault)):
        assert serve.delete(path, Weir_Id="another").status == 404
        assert serve.patch(path, {}, Weir_Id="another").status == 404
        assert serve.patch(path, {}, Weir_Id=of["id"]).status == 200
    serve.patch("/api/v1/proxies/db/faults/f", {"probability": 0.5})
    assert serve.get("/api/v1/proxies/db/faults/f").json["id"] == fault["id"]
    serve.delete("/api/v1/proxies/db")
    serve.post("/api/v1/proxies", {"name": "db", "upstream": "127.0.0.1:1"})
    assert serve.delete("/api/v1/proxies/db", Weir_Id=first["id"]).status == 404
    assert names(serve) == ["db"]


def test_toxiproxys_routes_know_no_leases_and_show_the_effective_state(start):
    serve = start()
    serve.post("/proxies", {"name": "db", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1"})
    serve.post("/proxies/db/toxics", {"type": "latency"})
    shown = serve.get("/api/v1/proxies/db").json
    assert (shown["lease"], shown["faults"][0]["lease"]) == (None, None)
    with Lease(serve.port) as lease:
        serve.post("/api/v1/proxies/db/holds", Weir_Lease=lease.id)
        assert serve.get("/proxies/db").json["enabled"] is False
        assert "desired_enabled" not in serve.get("/proxies/db").json
        # Changing another field, and wishing it open, leave the wish and the hold as they are.
        serve.post("/proxies/db", {"upstream": "127.0.0.1:2"})
        assert serve.post("/proxies/db", {"enabled": True}).json["enabled"] is False
        assert serve.post("/reset").status == 204
        assert serve.get("/proxies/db").json["enabled"] is False
    wait_until(lambda: serve.get("/proxies/db").json["enabled"], "it listens again", 1.0)
    assert serve.get("/proxies/db").json["upstream"] == "127.0.0.1:2"


def test_populate_may_replace_a_leased_proxy_which_is_then_not_the_leases(start):
    serve = start()
    with Lease(serve.port) as lease:
        serve.post("/api/v1/proxies", {"name": "db", "upstream": "127.0.0.1:1"}, Weir_Lease=lease.id)
        serve.post("/populate", [{"name": "db", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:2"}])
    wait_until(lambda: serve.get("/api/v1/leases").json["leases"] == [], "the lease has ended", 1.0)
    assert serve.get("/api/v1/proxies/db").json["upstream"] == "127.0.0.1:2"


def test_the_file_is_read_again_while_leases_are_held(start, tmp_path):
    file = tmp_path / "weir.toml"
    file.write_text(CONFIG)
    serve = start("-c", file)
    with Lease(serve.port) as lease:
        serve.post("/api/v1/proxies/db/holds", Weir_Lease=lease.id)
        serve.post("/api/v1/proxies/db/faults", {"type": "stall", "name": "leased"}, Weir_Lease=lease.id)
        serve.post("/api/v1/proxies/cache/holds", Weir_Lease=lease.id)
        serve.delete("/api/v1/proxies/db/faults/latency_downstream")
        serve.post("/api/v1/proxies/db/faults", {"type": "latency", "latency": "9ms"}, Weir_Lease=lease.id)
        file.write_text(CONFIG.replace("127.0.0.1:1", "127.0.0.1:3").replace("10ms", "20ms")
                        .partition('[[proxies]]\nname = "cache"')[0])
        serve.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "read again" in serve.stderr(), "the file is read again", 10.0)
        shown = serve.get("/api/v1/proxies/db").json
        assert (shown["enabled"], shown["upstream"]) == (False, "127.0.0.1:3")
        marks = {each["name"]: (each["owner"], each["lease"]) for each in shown["faults"]}
        assert marks == {"latency_downstream": ("config", None), "leased": ("api", lease.id)}
    wait_until(lambda: serve.get("/api/v1/proxies/db").json["enabled"], "it listens again", 1.0)
    assert [each["name"] for each in serve.get("/api/v1/proxies/db").json["faults"]] == ["latency_downstream"]
    assert names(serve) == ["db"]


def test_a_proxy_deleted_while_it_is_held_down(start):
    serve = start()
    made = serve.post("/api/v1/proxies", {"name": "db", "upstream": "127.0.0.1:1"}).json
    with Lease(serve.port) as lease:
        hold = serve.post("/api/v1/proxies/db/holds", Weir_Lease=lease.id).json["id"]
        assert serve.delete("/api/v1/proxies/db").status == 204
        assert serve.delete(f"/api/v1/proxies/db/holds/{hold}").status == 404
        serve.post("/api/v1/proxies", {"name": "db", "upstream": "127.0.0.1:1", "listen": made["listen"]})
        assert serve.get("/api/v1/proxies/db").json["enabled"] is True  # another proxy, which nobody holds
        assert serve.delete(f"/api/v1/proxies/db/holds/{hold}").status == 404
    wait_until(lambda: serve.get("/api/v1/leases").json["leases"] == [], "the lease has ended", 1.0)
    assert names(serve) == ["db"]


def test_two_hundred_leases_at_once(start):
    serve = start()
    leases = [Lease(serve.port) for _ in range(200)]
    for number, lease in enumerate(leases):
        serve.post("/api/v1/proxies", {"name": f"p{number}", "upstream": "127.0.0.1:1"}, Weir_Lease=lease.id)
    assert len(names(serve)) == 200
    for lease in leases:
        lease.close()
    gone_within_a_second(serve, lambda: names(serve) == [], "all are gone")
    assert serve.get("/api/v1/health").json["healthy"]


def test_there_are_five_hundred_leases_and_no_more(start):
    serve = start()
    leases = [Lease(serve.port) for _ in range(500)]
    refused = serve.post("/api/v1/leases")
    assert (refused.status, refused.json["error"]) == (503, "500 leases are held already; end one first")
    for lease in leases:
        lease.close()
    wait_until(lambda: serve.get("/api/v1/leases").json["leases"] == [], "all have ended", 2.0)


def test_followers_hear_of_leases(start):
    serve = start()
    connection = serve.connection()
    connection.request("GET", "/api/v1/events")
    stream = connection.getresponse()
    with Lease(serve.port) as lease:
        serve.post("/api/v1/proxies", {"name": "own", "upstream": "127.0.0.1:1"}, Weir_Lease=lease.id)
        serve.post("/api/v1/proxies/own/holds", Weir_Lease=lease.id)
    kinds = [(each[1], each[2].get("proxy")) for each in read_events(stream, 5)]
    assert kinds == [("lease.opened", None), ("proxy.created", "own"), ("proxy.held", "own"),
                     ("proxy.removed", "own"), ("lease.ended", None)]
    connection.close()


def test_a_server_that_ends_lets_leased_sessions_finish(start, listener):
    serve = start()
    lease = Lease(serve.port)
    proxy = serve.post("/api/v1/proxies", {"name": "own", "upstream": f"127.0.0.1:{listener.address[1]}"},
                       Weir_Lease=lease.id).json
    with socket.create_connection(("127.0.0.1", int(proxy["listen"].rpartition(":")[2])), timeout=10 * PATIENCE) as it:
        it.sendall(b"1")
        upstream, _ = listener.sock.accept()
        assert upstream.recv(1) == b"1"
        serve.process.send_signal(signal.SIGTERM)
        lease.socket.settimeout(10 * PATIENCE)
        while lease.socket.recv(4096):
            pass  # the API is closed
        it.sendall(b"2")
        assert upstream.recv(1) == b"2"
        upstream.sendall(b"3")
        assert it.recv(1) == b"3"
        upstream.close()
    lease.close()


@pytest.mark.slow
def test_a_half_open_lease_ends_within_thirty_seconds(start, room, weir_binary, tmp_path):
    read_end, write_end = os.pipe()
    with open(tmp_path / "stderr", "wb") as stderr:
        process = subprocess.Popen([*room.enter, BINARY, "serve", "--api", "127.0.0.1:8474", "--ready-fd",
                                    str(write_end)], pass_fds=[write_end], stderr=stderr)
    os.close(write_end)
    with os.fdopen(read_end) as ready:
        assert ready.readline()
    lease = Lease(8474, room.socket(socket.AF_INET, socket.SOCK_STREAM))
    port = lease.socket.getsockname()[1]

    def ask(method, path, body="", **headers):
        with room.socket(socket.AF_INET, socket.SOCK_STREAM) as it:
            it.connect(("127.0.0.1", 8474))
            extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
            it.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{extra}"
                       f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
            return b"".join(iter(lambda: it.recv(65536), b"")).decode()
    assert " 201 " in ask("POST", "/api/v1/proxies", '{"name":"own","upstream":"127.0.0.1:1"}', Weir_Lease=lease.id)
    room.drop_packets_of(port)  # its machine loses power
    began = time.monotonic()
    wait_until(lambda: '"proxies":[]' in ask("GET", "/api/v1/proxies"), "what it held is gone", 30.0 / PATIENCE)
    assert time.monotonic() - began > 5.0, "a lease that is merely quiet was taken for dead"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20 * PATIENCE) == 0


def serve_with_pipe(tmp_path, *options):
    """A weir serve that ends with the pipe, and the pipe's write end."""
    alive_read, alive_write = os.pipe()
    ready_read, ready_write = os.pipe()
    with open(tmp_path / "stderr", "wb") as stderr:
        process = subprocess.Popen([BINARY, "serve", "--api", "127.0.0.1:0", "--ready-fd", str(ready_write),
                                    "--exit-on-eof", str(alive_read), *options],
                                   pass_fds=[ready_write, alive_read], stderr=stderr, stdin=subprocess.DEVNULL)
    os.close(alive_read)
    os.close(ready_write)
    with os.fdopen(ready_read) as ready:
        assert ready.readline()
    return process, alive_write


def test_it_ends_when_its_pipe_does(weir_binary, tmp_path):
    process, alive = serve_with_pipe(tmp_path)
    os.write(alive, b"what is written means nothing" * 1000)
    assert process.poll() is None
    os.close(alive)
    assert process.wait(10 * PATIENCE) == 0


def test_the_end_of_its_pipe_counts_as_sigterm(weir_binary, tmp_path):
    process, alive = serve_with_pipe(tmp_path)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10 * PATIENCE) == 0
    os.close(alive)


@pytest.mark.parametrize("descriptor,part", [("9", "Bad file descriptor"), ("0", "")])
def test_a_descriptor_that_cannot_end_is_refused(weir_binary, descriptor, part):
    refused = run_weir("serve", "--api", "127.0.0.1:0", "--exit-on-eof", descriptor)  # stdin is /dev/null
    assert refused.returncode == 1
    assert f"--exit-on-eof {descriptor}: " in refused.stderr and part in refused.stderr
    assert "give a pipe or a socket that is open" in refused.stderr
