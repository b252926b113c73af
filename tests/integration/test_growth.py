"""A growth soak: what comes and goes leaves nothing behind in `weir serve`, neither memory nor descriptors.

    WEIR_SOAK_CYCLES=10000        so many of each pair of calls (1,000 unless set)
    WEIR_SOAK_PAIRS=lease,watch   only these pairs: which of them is it that grows?
    WEIR_SOAK_CONNECTIONS=200000  so many connections past all views (10,000 unless set)

Growth is the mean of the last third of the samples less that of the first, after a warm-up in which the memory of what
happened (4,096 events) is filled with events of the same kinds. Descriptors have to be back at their number each time."""

import contextlib
import itertools
import os
import re
import socket
from pathlib import Path

import pytest

from deadline import PATIENCE, wait_until

CYCLES = int(os.environ.get("WEIR_SOAK_CYCLES", "1000"))
CONNECTIONS = int(os.environ.get("WEIR_SOAK_CONNECTIONS", "10000"))
ALL_PAIRS = "proxy,fault,lease,watch,events,session,diagnose"
PAIRS = os.environ.get("WEIR_SOAK_PAIRS", ALL_PAIRS).split(",")
SAMPLES = 30
# A leak of 400 bytes a cycle, or of 40 a connection, is beyond the noise in a run of the default length.
NOISE_BYTES = 256 * 1024
# A leak grows in each round; an allocator that settles, as on a machine where threads wait long for their turn, does not.
ROUNDS = 3
EVENTS_REMEMBERED = 4096
EVENTS_PER_PAIR = {"proxy": 2, "fault": 2, "lease": 2, "watch": 0, "events": 0, "session": 2, "diagnose": 4}


class Resident:
    """Memory and descriptors of a process, sample by sample."""

    def __init__(self, process):
        self.process = process
        self.at_rest = 0  # descriptors when nothing is open but what stays
        self.bytes = []

    def is_at_rest(self, condition):
        """Takes the descriptors that are open when `condition` has come true, and stay so, for those of rest."""
        wait_until(condition, "nothing is open but what stays")
        before = 0
        while before != self.descriptors():
            before = self.descriptors()
            wait_until(self._all_threads_sleep, "every thread sleeps")
        self.at_rest = before

    def _all_threads_sleep(self):
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return {(task / "stat").read_text().rpartition(")")[2].split()[0] for task in tasks} == {"S"}

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def sample(self):
        wait_until(lambda: self.descriptors() <= self.at_rest, f"it is back at {self.at_rest} descriptors", 20.0)
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        self.bytes.append(int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024)

    def growth(self):
        third = len(self.bytes) // 3
        return (sum(self.bytes[-third:]) - sum(self.bytes[:third])) / third


class Caller:
    """One connection to the API that stays, for many calls."""

    def __init__(self, serve):
        self.serve = serve
        self.connection = serve.connection()

    def __call__(self, method, path, status, body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, f"/api/v1{path}", body=body, headers=headers)
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status == status, f"{method} {path}: {answer.status} {text}"

    @contextlib.contextmanager
    def stream(self, method, path):
        """An answer without an end, up to its first bytes; the connection is closed at the end."""
        connection = self.serve.connection()
        with contextlib.closing(connection):
            connection.request(method, f"/api/v1{path}")
            with connection.getresponse() as answer:
                assert answer.status in (200, 201), f"{path}: {answer.status}"
                yield answer


class Cycles:
    """Each pair of calls, as a method that does both; `number` tells one time from another."""

    def __init__(self, serve, listener):
        self.serve = serve
        self.api = Caller(serve)
        self.listener = listener
        host, port = listener.getsockname()
        self.upstream = f"{host}:{port}"
        made = serve.post("/api/v1/proxies", {"name": "db", "upstream": self.upstream})
        self.address = ("127.0.0.1", int(made.json["listen"].rpartition(":")[2]))

    def proxy(self, number):
        body = f'{{"name":"proxy{number}","upstream":"{self.upstream}","faults":[{{"type":"noop"}}]}}'
        self.api("POST", "/proxies", 201, body)
        self.api("DELETE", f"/proxies/proxy{number}", 204)

    def fault(self, number):
        self.api("POST", "/proxies/db/faults", 201, f'{{"type":"latency","latency":"1ms","name":"fault{number}"}}')
        self.api("DELETE", f"/proxies/db/faults/fault{number}", 204)

    def lease(self, number):
        with self.api.stream("POST", "/leases") as answer:
            lease = answer.getheader("Weir-Lease")
            fault = f'{{"type":"noop","name":"leased{number}"}}'
            self.api("POST", "/proxies/db/faults", 201, fault, Weir_Lease=lease)
            if number % 2:
                self.api("DELETE", f"/leases/{lease}", 204)

    def watch(self, number):
        shows = ("json", "text", "hex", "dump", "raw")
        with self.api.stream("GET", f"/proxies/db/watch?show={shows[number % len(shows)]}"):
            pass

    def events(self, _number):
        with self.api.stream("GET", "/events") as answer:
            assert answer.readline() == b"retry: 1000\n"

    def diagnose(self, number):
        """A diagnosed proxy with an exchange, a report and verdicts of it; then it goes, with all that was known."""
        self.api("POST", "/proxies", 201, f'{{"name":"why{number}","upstream":"{self.upstream}","diagnose":true}}')
        where = self.serve.get(f"/api/v1/proxies/why{number}").json["listen"]
        with socket.create_connection(("127.0.0.1", int(where.rpartition(":")[2])), timeout=20 * PATIENCE) as client:
            server = self.listener.accept()[0]
            with server:
                client.sendall(b"ask")
                assert server.recv(64) == b"ask"
                server.sendall(b"answer")
                assert client.recv(64) == b"answer"
        self.api("GET", f"/proxies/why{number}/report?columns=80", 200)
        self.api("GET", "/exchanges", 200)
        self.api("DELETE", f"/proxies/why{number}", 204)

    def session(self, number):
        with socket.create_connection(self.address, timeout=20 * PATIENCE) as client:
            server = self.listener.accept()[0]
            with server:
                self.api("DELETE", f"/proxies/db/sessions/{number}", 204)
                assert (client.recv(1), server.recv(1)) == (b"", b"")


@pytest.fixture
def upstream():
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        listener.settimeout(20 * PATIENCE)
        yield listener


@pytest.mark.slow
def test_what_comes_and_goes_leaves_nothing(start, upstream):
    serve = start("--workers", 2)
    cycles = Cycles(serve, upstream)
    events = sum(EVENTS_PER_PAIR[pair] for pair in PAIRS)
    warm_up = max(CYCLES // 10, EVENTS_REMEMBERED // events if events else 0)
    resident = Resident(serve.process)
    numbers = itertools.count(1)

    def run(count, samples):
        for done in range(1, count + 1):
            number = next(numbers)
            for pair in PAIRS:
                getattr(cycles, pair)(number)
            if number == 1:
                resident.is_at_rest(lambda: serve.get("/api/v1/leases").json["leases"] == [])
            if samples and done % max(1, count // samples) == 0:
                resident.sample()

    run(warm_up, 0)
    seen = []
    for _ in range(ROUNDS):
        resident.bytes.clear()
        run(CYCLES, SAMPLES)
        growth = resident.growth()
        print(f"{CYCLES} cycles of {PAIRS}: {growth / 1024:+.0f} KiB from the first third to the last")
        if growth < NOISE_BYTES:
            return
        seen.append(f"{growth / CYCLES * 1.5:.0f}")
    raise AssertionError(f"of each cycle so many bytes stay, in {ROUNDS} rounds: {', '.join(seen)}; {resident.bytes}")


OBSERVER = """
[[observers]]
show = "{show}"
output = "/dev/null"
when_slow = "block"
"""


@pytest.mark.slow
def test_a_connection_past_every_view_leaves_nothing(start, upstream, tmp_path):
    config = tmp_path / "weir.toml"
    config.write_text("".join(OBSERVER.format(show=show) for show in ("json", "text", "hex", "dump", "raw")))
    serve = start("-c", config, "--workers", 2)
    address = Cycles(serve, upstream).address

    def exchange(number):
        # Addresses of their own, or the ports of one would not be free again in time.
        source = f"127.{1 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
        with socket.create_connection(address, timeout=20 * PATIENCE, source_address=(source, 0)) as client:
            server = upstream.accept()[0]
            with server:
                client.sendall(b"ask %d" % number)
                assert server.recv(64) == b"ask %d" % number
                server.sendall(b"answer")
                assert client.recv(64) == b"answer"

    for number in range(EVENTS_REMEMBERED // 2):
        exchange(number)
    resident = Resident(serve.process)
    resident.is_at_rest(lambda: serve.get("/api/v1/sessions").json["sessions"] == [])
    for number in range(CONNECTIONS):
        exchange(number)
        if number % max(1, CONNECTIONS // SAMPLES) == 0:
            resident.sample()
    growth = resident.growth()
    print(f"{CONNECTIONS} connections: {growth / 1024:+.0f} KiB from the first third to the last")
    assert growth < NOISE_BYTES, f"{growth / CONNECTIONS * 1.5:.0f} bytes of each stay; resident: {resident.bytes}"
