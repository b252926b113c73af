"""The API of `weir serve` while it is busy: 1,000 sessions that stand still, faults that come and go, and
many who listen."""

import contextlib
import http.client
import json
import multiprocessing
import os
import re
import selectors
import socket
import threading
import time

from . import load, report, slices, stats
from .processes import StartError, pss_kib
from .rows import Row
from .subjects import Subject, read_line

STALLED = 1000
STREAMS = 16  # of events
IDLE = 200  # keep-alive connections
# What each stalled session asks for: more than Weir takes in, and not so much that all of them reach the kernel's
# limit for TCP (tcp_mem), at which it resets connections that have nothing to do with them.
STUCK_BYTES = 512 * 1024


class WeirServe(Subject):
    """`weir serve` with two proxies in front of the peer: `stalled` and `moving`."""

    name = "weir serve"

    def __init__(self, binary):
        self.binary = binary

    def missing(self):
        return "" if self.binary else "weir is not built"

    def start(self, place, upstream):
        self.launch(place)
        api = Api(self.port)
        self.listens = {name: api.ask("POST", "/api/v1/proxies", {"name": name, "listen": "127.0.0.1:0",
                                                                  "upstream": upstream})["listen"]
                        for name in ("stalled", "moving")}
        api.ask("POST", "/api/v1/proxies/stalled/faults", {"name": "stop", "type": "bandwidth", "rate": "0B/s"})

    def launch(self, place, *options):
        reader, writer = os.pipe()
        try:
            self.process = place.proxy([self.binary, "serve", "--api", "127.0.0.1:0", "--ready-fd", str(writer),
                                        *options], self.name, pass_fds=[writer])
        finally:
            os.close(writer)
        try:
            line = read_line(reader, 10.0)
        finally:
            os.close(reader)
        found = re.search(r" on 127\.0\.0\.1:(\d+)$", line)
        if found is None:
            said = self.process.last_words()
            self.stop()
            raise StartError(f"weir serve: no readiness line but {line!r}: {said}")
        self.port = int(found.group(1))
        self.pid = self.process.pid


class Api:
    """One keep-alive connection, and how long each answer took, in seconds."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.times = []

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body)
        began = time.perf_counter()
        self.connection.request(method, path, data)
        answer = self.connection.getresponse()
        text = answer.read()
        self.times.append(time.perf_counter() - began)
        if answer.status >= 300:
            raise load.LoadFailed(f"{method} {path}: {answer.status} {text[:200]!r}")
        return json.loads(text) if text else None


def listen_to_events(port, streams, ready, stop):
    """A process of its own, so that its work is not in the times: reads the streams until told to stop."""
    selector = selectors.DefaultSelector()
    for _ in range(streams):
        stream = socket.create_connection(("127.0.0.1", port))
        stream.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert stream.recv(12).endswith(b"200"), "a stream of events was refused"
        selector.register(stream, selectors.EVENT_READ)
    ready.set()
    while not stop.is_set():
        for key, _ in selector.select(0.1):
            if not key.fileobj.recv(65536):
                os._exit(1)  # a stream ended: its exit code says so
    os._exit(0)


class ApiLoad(Row):
    name = "api"
    title = "The API under 1,000 stalled sessions, faults added and removed, 16 event streams, 200 idle connections"

    @staticmethod
    def _seconds(session):
        return 60.0 if session.pairs >= 20 else 6.0

    def estimate(self, session):
        return self._seconds(session) + 10

    def run(self, session):
        cell = slices.Cell("one client, one request after another", "rate")
        self.cells.append(cell)
        serve = WeirServe(session.weir_binary)
        with session.place.unpinned(), session.peer() as peer, session.started([serve], peer.address, self.notes) as up:
            if up:
                self._measure(session, cell, serve)

    def _measure(self, session, cell, serve):
        seconds = self._seconds(session)
        at_rest = _sockets(serve.pid)
        with contextlib.ExitStack() as stack:
            stalled = load.GatedLoad(session.place, ["rr", serve.listens["stalled"], "--stuck", STALLED,
                                                     "--stuck-bytes", STUCK_BYTES, "--rate", 10,
                                                     "--warmup", 1, "--seconds", seconds + 6])
            stack.callback(stalled.abandon)
            idle = [Api(serve.port) for _ in range(IDLE)]
            for each in idle:
                stack.callback(each.connection.close)
                each.ask("GET", "/version")
            listeners = stack.enter_context(_listeners(serve.port))
            mover = Mover(session, serve.listens["moving"])
            mover.start()
            session.progress.line("api: all stand still")
            self._wait_stalled(serve)
            times, early, late = self._churn(session, serve, idle, seconds)
            mover.finish()
            for each in idle:
                each.ask("GET", "/version")
            alive = listeners.is_alive()
            # What it holds back is handed on, so that clients that have left are found to have.
            Api(serve.port).ask("DELETE", "/api/v1/proxies/stalled/faults/stop")
            stalled.finish(60)
        session.progress.advance(seconds + 10)
        if not alive:
            raise load.LoadFailed("a stream of events ended")
        self._conclude(cell, times, mover, late - early, self._settled(serve.pid, at_rest) - at_rest)

    @staticmethod
    def _wait_stalled(serve):
        api = Api(serve.port)
        deadline = time.monotonic() + 20
        while True:
            told = api.ask("GET", "/api/v1/sessions?proxy=stalled")
            count = len(told["sessions"]) + told["left_out"]
            if count >= STALLED:
                return
            if time.monotonic() > deadline:
                raise load.LoadFailed(f"{count} of {STALLED} sessions after 20 s")
            time.sleep(0.05)

    def _churn(self, session, serve, idle, seconds):
        """Adds, lists and removes faults; ([seconds of each answer], Pss in KiB in the second
        quarter of the time, and in the last): medians, as transfers come and go."""
        api = Api(serve.port)
        began = time.monotonic()
        weights = []
        while time.monotonic() < began + seconds:
            session.progress.line(f"api: {time.monotonic() - began:.0f} of {seconds:.0f} s")
            for proxy in ("stalled", "moving"):
                faults = f"/api/v1/proxies/{proxy}/faults"
                api.ask("POST", faults, {"name": "late", "type": "latency", "latency": "1ms"})
                api.ask("POST", faults, {"name": "cap", "type": "bandwidth", "rate": "1GB/s", "direction": "both"})
                api.ask("GET", faults)
                api.ask("GET", "/api/v1/proxies")
                api.ask("DELETE", f"{faults}/late")
                api.ask("DELETE", f"{faults}/cap")
            if time.monotonic() > began + seconds * len(weights) / 40:
                weights.append(pss_kib(serve.pid))
                if len(weights) == 20:  # half of the time: an idle connection is closed after a minute
                    for each in idle:
                        each.ask("GET", "/version")
        quarter = len(weights) // 4
        return api.times, stats.median(weights[quarter:2 * quarter]), stats.median(weights[-quarter:])

    @staticmethod
    def _settled(pid, at_rest):
        """Sockets once all clients have left; at most 10 s are waited."""
        for _ in range(100):
            now = _sockets(pid)
            if now <= at_rest:
                break
            time.sleep(0.1)
        return now

    def _conclude(self, cell, times, mover, grown_kib, left_sockets):
        micros = sorted(1e6 * each for each in times)
        values = {"rate": round(len(micros) / sum(times), 1), "p50_us": round(stats.quantile(micros, 0.5), 1),
                  "p99_us": round(stats.quantile(micros, 0.99), 1), "p99_9_us": round(stats.quantile(micros, 0.999), 1)}
        cell.slices.append(slices.Slice(cell.name, "weir serve", 0, 0, values, ""))
        cell.extra.update(requests=len(times), longest_ms=round(micros[-1] / 1000, 2), moved=mover.requests)
        self.claims += [
            report.Claim("p99 of a request", 10, unit=" ms").measured(values["p99_us"] / 1000),
            report.Claim("runs of traffic through the changing faults in which a byte was lost or added", 0,
                         unit="").measured(len(mover.failures)),
            report.Claim("memory grown from the second quarter of the time to the last (Pss)", 2048,
                         unit=" KiB").measured(max(0, grown_kib)),
            report.Claim("sockets left open once all have gone", 0, unit="").measured(max(0, left_sockets))]
        self.claims[1].note = "; ".join([f"{mover.requests:,} requests went through", *mover.failures[:2]])
        self.claims[0].note = f"{len(times):,} requests, the longest {micros[-1] / 1000:.1f} ms"
        self.notes.append("The stalled sessions asked for 512 KiB, stand behind a cap of 0 B/s and never read. Half of the requests add or "
                          "remove a fault that is then in all sessions of its proxy. Nothing is pinned; the client is "
                          "Python, whose own time is in the figures.")


class Mover(threading.Thread):
    """A service's traffic through the proxy `moving`, in runs of ROUND seconds, until finish(): 1,000 requests a second
    with answers of 4 KiB. A run in which one does not come back whole is a failure."""

    ROUND = 2.0

    def __init__(self, session, address):
        super().__init__(daemon=True)
        self.session, self.address = session, address
        self.requests, self.failures = 0, []
        self.ending = threading.Event()

    def run(self):
        while not self.ending.is_set():
            try:
                told = load.run(self.session.place, ["rr", self.address, "--connections", 50, "--response", 4096,
                                                     "--rate", 1000, "--seconds", self.ROUND], 60)
                self.requests += told["requests"]
                if told["unfinished"]:
                    self.failures.append(f"{told['unfinished']} requests were not answered")
            except load.LoadFailed as error:
                self.failures.append(str(error))

    def finish(self):
        self.ending.set()
        self.join(90)


@contextlib.contextmanager
def _listeners(port):
    context = multiprocessing.get_context("fork")
    ready, stop = context.Event(), context.Event()
    process = context.Process(target=listen_to_events, args=(port, STREAMS, ready, stop), daemon=True)
    process.start()
    try:
        if not ready.wait(20):
            raise load.LoadFailed("the streams of events did not open")
        yield process
    finally:
        stop.set()
        process.join(5)
        process.kill()


def _sockets(pid):
    """Open sockets; pipes stay in their pool."""
    folder = f"/proc/{pid}/fd"
    count = 0
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            count += os.readlink(f"{folder}/{name}").startswith("socket:")
    return count
