"""What a hostile client of the API can cost: shapes, sizes, numbers, connections, and answers that nobody reads."""

import contextlib
import json
import re
import select
import signal
import socket
from pathlib import Path

import pytest

from deadline import PATIENCE, Deadline, wait_until
from serve_process import Serve


DEEP = '{"a":' * 70_000 + "[" * 200_000 + "]" * 200_000 + "}" * 70_000  # 960 kB
WIDE = "{" + ",".join(f'"{number:x}":0' for number in range(95_000)) + "}"


@pytest.mark.parametrize("value", [DEEP, WIDE], ids=["deep", "wide"])
def test_json_of_any_shape_costs_little_and_harms_nobody(start, value):
    serve = start()
    assert serve.post("/proxies", {"name": "db", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1"}).status == 201
    for path in ("/proxies", "/proxies/db", "/proxies/db/toxics", "/populate", "/api/v1/proxies", "/api/v1/proxies/db/faults"):
        for body in ("%s", '[{"name":%s}]', '{"name":"x","upstream":"127.0.0.1:1","faults":[%s]}', '{"type":"latency","attributes":%s}'):
            answer = serve.post(path, body % value)
            assert answer.status == 400 and ("64 levels" in answer.text or "1000 members" in answer.text), (path, answer.text)
    assert serve.get("/proxies/db/toxics").json == []


def test_so_many_faults_and_no_more(start):
    serve = start()
    faults = [{"type": "latency", "latency": "1ms", "name": str(number)} for number in range(257)]
    refused = serve.post("/api/v1/proxies", {"name": "db", "upstream": "127.0.0.1:1", "faults": faults})
    assert refused.status == 400 and refused.json["field"] == "faults[256]" and "at most 256 faults" in refused.json["error"]
    assert serve.post("/api/v1/proxies", {"name": "db", "upstream": "127.0.0.1:1", "faults": faults[:256]}).status == 201
    refused = serve.post("/proxies/db/toxics", {"type": "latency"})
    assert refused.status == 409 and refused.json["error"] == "a proxy has at most 256 faults: remove one first"


@pytest.mark.parametrize("rest", ["\0", "\0garbage", "garbage", "{}"])
def test_nothing_may_come_after_a_body(start, rest):
    serve = start()
    refused = serve.post("/api/v1/proxies", json.dumps({"name": "db", "upstream": "127.0.0.1:1"}) + rest)
    assert refused.status == 400 and "not JSON" in refused.json["error"]
    assert serve.get("/proxies").json == {}


def test_a_chunked_body_may_come_in_any_pieces(start):
    serve = start()
    request = b"POST /populate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n"
    for cut in range(1, len(request)):
        with socket.create_connection(("127.0.0.1", serve.port), timeout=10 * PATIENCE) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.sendall(request[:cut])
            assert serve.get("/version").status == 200, "it has read the first piece by now"
            client.sendall(request[cut:])
            assert client.recv(12) == b"HTTP/1.1 201", cut


def test_names_that_every_event_would_repeat_have_a_limit(start):
    serve = start()
    for field in ("name", "listen", "upstream"):
        proxy = {"name": "db", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1", field: "x" * 1025}
        assert serve.post("/proxies", proxy).status == 400, field
    assert serve.post("/proxies", {"name": "x" * 1024, "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1"}).status == 201
    refused = serve.post(f"/proxies/{'x' * 1024}/toxics", {"type": "latency", "name": "x" * 1025})
    assert refused.status == 400 and "1024 bytes" in refused.text


def test_so_many_proxies_and_no_more(start):
    serve = start()
    proxies = [{"name": f"p{number}", "listen": "127.0.0.1:0", "upstream": "x:1", "enabled": False} for number in range(4097)]
    assert serve.post("/populate", proxies[:4096]).status == 201
    refused = serve.post("/proxies", proxies[4096])
    assert refused.status == 409 and "there are 4096 proxies already: remove one first" in refused.text
    assert len(serve.get("/proxies").json) == 4096
    assert serve.delete("/proxies/p7").status == 204
    assert serve.post("/proxies", proxies[4096]).status == 201


def test_answers_that_nobody_reads_are_bounded(start):
    serve = start()
    proxies = [{"name": f"p{number}" + "x" * 1000, "listen": "", "upstream": "x:1", "enabled": False} for number in range(800)]
    assert serve.post("/populate", proxies).status == 201
    size = len(serve.get("/metrics").text)
    with contextlib.ExitStack() as stack:
        for _ in range(3 * 256 * 1024 * 1024 // (2 * size)):  # half as much again
            client = stack.enter_context(socket.create_connection(("127.0.0.1", serve.port), timeout=10 * PATIENCE))
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            client.recv(1)  # who asks before an answer has begun would share it
        # A slow machine may refuse one because its turn did not come: that is another 503.
        wait_until(lambda: "256 MiB of answers wait" in serve.get("/metrics").text, "there are enough")
    wait_until(lambda: serve.get("/metrics").status == 200, "those who left made room")


@pytest.mark.parametrize("path", ["/api/v1/sessions?limit=10000", "/metrics", "/proxies", "/api/v1/proxies"])
def test_fifty_who_ask_at_once_share_answers(start, path):
    serve = start("--workers", 2)
    proxies = [{"name": f"p{number:03}", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1"} for number in range(500)]
    assert serve.post("/populate", proxies).status == 201
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=512))
        db = serve.post("/api/v1/proxies", {"name": "db", "upstream": f"127.0.0.1:{upstream.getsockname()[1]}"}).json
        where = ("127.0.0.1", int(db["listen"].rpartition(":")[2]))
        for _ in range(300):
            stack.enter_context(socket.create_connection(where, timeout=10 * PATIENCE))
        wait_until(lambda: len(serve.get("/api/v1/sessions").json["sessions"]) == 300, "all sessions are there")
        clients = []
        for _ in range(50):
            clients.append(serve.connection())
            clients[-1].connect()
            stack.callback(clients[-1].close)
        # One write each, before any answer is read.
        for client in clients:
            client.request("GET", path)
        answers = [client.getresponse() for client in clients]
        texts = [answer.read().decode() for answer in answers]
        assert {answer.status for answer in answers} == {200}
        ids = [answer.getheader("X-Toxiproxy-Request-Id") for answer in answers]
        assert path != "/proxies" or len(set(ids)) == 50, "what belongs to one answer alone is not shared"
        if path.startswith("/api/v1/sessions"):
            assert {len(json.loads(text)["sessions"]) for text in texts} == {300}
        if path == "/metrics" or "sessions" in path:  # ages and the lag are other ones in each answer that was made
            assert len(set(texts)) <= 15, len(set(texts))
        assert serve.get("/version").status == 200


def test_an_answer_that_is_under_way_is_sent_before_the_end(start):
    serve = start()
    proxies = [{"name": f"p{number}" + "x" * 1000, "listen": "", "upstream": "x:1", "enabled": False} for number in range(800)]
    assert serve.post("/populate", proxies).status == 201
    client = serve.connection()
    client.request("GET", "/metrics")
    answer = client.getresponse()  # its head: more follows than the kernel takes at once
    serve.process.send_signal(signal.SIGTERM)
    def is_heard():
        with socket.socket() as other:
            return other.connect_ex(("127.0.0.1", serve.port)) != 0
    wait_until(is_heard, "nobody listens any more")
    assert len(answer.read()) == int(answer.getheader("Content-Length"))
    client.close()
    assert serve.process.wait(20 * PATIENCE) == 0


def test_those_who_open_connections_and_ask_nothing_keep_nobody_out(start):
    serve = start()
    with contextlib.ExitStack() as stack:
        crowd = []
        for _ in range(1010):  # more than the 1,000 that are held at once
            client = stack.enter_context(socket.create_connection(("127.0.0.1", serve.port), timeout=10 * PATIENCE))
            client.sendall(b"GET /vers")
            crowd.append(client)
            if len(crowd) == 1005:
                assert serve.get("/version").status == 200, "one more still comes in"
        assert crowd[0].recv(1) == b"", "the one that waited longest had to go"
        crowd[-1].sendall(b"ion HTTP/1.1\r\nHost: x\r\n\r\n")
        assert crowd[-1].recv(12) == b"HTTP/1.1 200", "and none that came late"


def test_what_faults_hold_stays_within_fault_bytes(start, tmp_path, listener):
    """Thirty clients send as much as they can through a latency to a server that reads nothing: what the fault has let
    go waits to be sent, and counts as well."""
    config = tmp_path / "weir.toml"
    config.write_text('workers = 2\n[limits]\nfault_bytes = "16MiB"\n[[proxies]]\nname = "db"\nlisten = "127.0.0.1:0"\n'
                      f'upstream = "{listener.text}"\n'
                      'faults = [{type = "latency", direction = "upstream", latency = "200ms"}]\n')
    serve = start("--config", config)
    port = int(serve.get("/proxies/db").json["listen"].rpartition(":")[2])

    def resident():
        return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{serve.process.pid}/status").read_text())[1]) * 1024
    before = resident()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(30)]
        servers = [stack.enter_context(listener.sock.accept()[0]) for _ in clients]
        for client in clients:
            client.setblocking(False)
        block = bytes(256 * 1024)
        sent = [0] * len(clients)
        until = Deadline(30.0)
        while ready := select.select([], clients, [], 1.0)[1]:  # until none takes any more
            assert not until.passed(), "it takes bytes without an end"
            for client in ready:
                with contextlib.suppress(BlockingIOError):
                    sent[clients.index(client)] += client.send(block)
            # Beside what faults hold: its buffers, its allocator's and, at times, a sanitizer's.
            assert resident() < before + (16 + 48) * 2**20 * PATIENCE
        held = float(re.search(r"^weir_fault_held_bytes (\S+)", serve.get("/metrics").text, re.M)[1])
        assert 12 * 2**20 < held < 24 * 2**20
        # Every byte comes as soon as the servers read.
        got = [0] * len(clients)
        until = Deadline(30.0)
        while sum(got) < sum(sent):
            assert not until.passed(), "bytes are missing"
            for server in select.select(servers, [], [], 1.0)[0]:
                got[servers.index(server)] += len(server.recv(1 << 20))
    wait_until(lambda: "weir_fault_held_bytes 0" in serve.get("/metrics").text, "all is given back")


def test_clients_cannot_take_the_descriptors_of_the_api(weir_binary, tmp_path, listener):
    """More idle clients than there are descriptors: the API answers, no proxy is made that could not listen, and
    those who wait are served as soon as others leave."""
    serve = Serve("--workers", 2, folder=tmp_path, prefix=("prlimit", "--nofile=200:200"))
    made = serve.post("/api/v1/proxies", {"name": "db", "upstream": listener.text}).json
    port = int(made["listen"].rpartition(":")[2])
    listener.sock.listen(1024)
    with contextlib.ExitStack() as clients, contextlib.ExitStack() as servers:
        listener.sock.setblocking(False)

        def accept_all():
            with contextlib.suppress(BlockingIOError):
                while True:
                    servers.enter_context(listener.sock.accept()[0])
        for _ in range(300):
            clients.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20 * PATIENCE))
            accept_all()
        wait_until(lambda: re.search(r"^weir_accept_pauses_total\{.*\} [1-9]", serve.get("/metrics").text, re.M),
                   "accepting pauses, and the API answers")
        live = serve.get("/api/v1/sessions").json["sessions"]
        assert 50 <= len(live) <= 75, "each has two descriptors, and fifty are kept"
        # As many proxies as descriptors are left for are made, and the next is refused with the way out.
        answers = [serve.post("/api/v1/proxies", {"name": f"p{number}", "upstream": "127.0.0.1:1"}) for number in range(5)]
        assert answers[-1].status == 409 and "raise the limit of open files" in answers[-1].json["error"]
        clients.close()

    def all_have_left():
        with contextlib.suppress(BlockingIOError):
            while True:
                listener.sock.accept()[0].close()
        return serve.get("/api/v1/sessions").json["sessions"] == []
    wait_until(all_have_left, "they have left", 20.0)
    with socket.create_connection(("127.0.0.1", port), timeout=20 * PATIENCE) as client:
        client.sendall(b"served")

        def is_served():
            # Those who left while they waited are connected first, up to two hundred of them, and say nothing.
            with contextlib.suppress(BlockingIOError):
                while True:
                    with listener.sock.accept()[0] as server:
                        server.settimeout(20 * PATIENCE)
                        if server.recv(6) == b"served":
                            return True
        wait_until(is_served, "the next client is served", 20.0)
    assert serve.stop() == 0
