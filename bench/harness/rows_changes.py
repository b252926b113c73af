"""The API of `weir serve` while thousands of proxies change: what a small request beside that takes."""

import contextlib
import http.client
import multiprocessing
import os
import signal
import tempfile
import time
from pathlib import Path

from . import load, report, slices, stats
from .rows import Row
from .rows_api import Api, WeirServe

MANY = 4000  # of the 4,096 that there may be
SOME = 1000  # changed one by one


class ChangingServe(WeirServe):
    """`weir serve` with a configuration file that the row writes anew."""

    def start(self, place, upstream):
        self.folder = tempfile.TemporaryDirectory(prefix="weir-bench-")
        self.config = Path(self.folder.name) / "weir.toml"
        self.config.write_text("")
        self.launch(place, "-c", str(self.config), "--log-level", "warning")

    def stop(self):
        super().stop()
        self.folder.cleanup()


class Changer:
    """All that changes many proxies at once, and many changes in a row. Runs in a process of its own, so that its work
    is not in the times."""

    def __init__(self, serve):
        self.serve = serve
        self.api = Api(serve.port)
        self.api.connection.timeout = 60

    def run(self, tell):
        """Tells (what, how many proxies it changed, seconds) of each part."""
        for part in (self.populate, self.patch, self.reset, self.populate_elsewhere, self.lists, self.lease,
                     self.remove_one_by_one, self.file_comes, self.file_goes):
            began = time.monotonic()
            count = part()
            tell((part.__name__.replace("_", " "), count, time.monotonic() - began))

    def _proxies(self, upstream):
        return [{"name": f"p{number:04}", "listen": "127.0.0.1:0", "upstream": upstream} for number in range(MANY)]

    def populate(self):
        self.api.ask("POST", "/populate", self._proxies("127.0.0.1:1"))
        return MANY

    def patch(self):
        for number in range(SOME):
            self.api.ask("PATCH", f"/api/v1/proxies/p{number:04}", {"max_sessions": 7})
            self.api.ask("POST", f"/api/v1/proxies/p{number:04}/faults", {"type": "latency", "latency": "1ms"})
        return 2 * SOME

    def reset(self):
        self.api.ask("POST", "/reset")
        return MANY

    def populate_elsewhere(self):
        self.api.ask("POST", "/populate", self._proxies("127.0.0.1:2"))
        return 2 * MANY  # each is removed and made

    def lists(self):
        for path in ("/proxies", "/api/v1/proxies"):
            self.api.ask("GET", path)
        return 0

    def lease(self):
        """The faults of a lease, on every fourth proxy."""
        connection = http.client.HTTPConnection("127.0.0.1", self.serve.port, timeout=60)
        connection.request("POST", "/api/v1/leases")
        lease = connection.getresponse()  # held for as long as it is not closed
        name = lease.getheader("Weir-Lease")
        for number in range(0, MANY, 4):
            self.api.connection.request("POST", f"/api/v1/proxies/p{number:04}/faults",
                                        '{"type": "noop"}', {"Weir-Lease": name})
            if self.api.connection.getresponse().read() is None:
                raise load.LoadFailed("no answer")
        self.api.ask("DELETE", f"/api/v1/leases/{name}")
        lease.close()
        return MANY // 2

    def remove_one_by_one(self):
        for number in range(MANY):
            self.api.ask("DELETE", f"/proxies/p{number:04}")
        return MANY

    def file_comes(self):
        self.serve.config.write_text("".join(
            f'[[proxies]]\nname = "f{number:04}"\nupstream = "127.0.0.1:1"\n' for number in range(MANY)))
        return self._reload(MANY)

    def file_goes(self):
        self.serve.config.write_text("")
        return self._reload(0)

    def _reload(self, wanted):
        os.kill(self.serve.pid, signal.SIGHUP)
        deadline = time.monotonic() + 60
        while len(self.api.ask("GET", "/proxies")) != wanted:
            if time.monotonic() > deadline:
                raise load.LoadFailed("the file was not applied within 60 s")
            time.sleep(0.2)
        return MANY


def change_all(serve, pipe):
    try:
        Changer(serve).run(pipe.send)
        pipe.send(None)
    except Exception as error:  # noqa: whatever it is, the row tells it
        pipe.send(repr(error))


@contextlib.contextmanager
def at_priority(nice):
    """Both clients as weir itself, or its threads would take their CPUs away."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, nice or before)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)


class ApiChanges(Row):
    name = "api-changes"
    title = "A small request to the API while thousands of proxies change"
    paths = ("/api/v1/health", "/api/v1/version")

    def estimate(self, session):
        return 30

    def run(self, session):
        cell = slices.Cell("one client, one request after another", "rate")
        self.cells.append(cell)
        serve = ChangingServe(session.weir_binary)
        with session.place.unpinned(), session.started([serve], "127.0.0.1:1", self.notes) as up:
            if up:
                session.progress.line("api-changes: thousands of proxies come, change and go")
                with at_priority(session.place.nice):
                    self._measure(cell, serve)
        session.progress.advance(30)

    def _measure(self, cell, serve):
        ours, theirs = multiprocessing.get_context("fork").Pipe(duplex=False)
        process = multiprocessing.get_context("fork").Process(target=change_all, args=(serve, theirs), daemon=True)
        process.start()
        api = Api(serve.port)
        parts = []  # (what, count, seconds, the times of the requests beside it)
        began = 0
        try:
            while True:
                for path in self.paths:
                    api.ask("GET", path)
                if not ours.poll():
                    continue
                told = ours.recv()
                if told is None:
                    break
                if isinstance(told, str):
                    raise load.LoadFailed(told)
                parts.append((*told, api.times[began:]))
                began = len(api.times)
        finally:
            process.join(5)
            process.kill()
        self._conclude(cell, api.times, parts)

    def _conclude(self, cell, times, parts):
        millis = sorted(1000 * each for each in times)
        values = {"rate": round(len(millis) / sum(times), 1), "p50_us": round(1000 * stats.quantile(millis, 0.5), 1),
                  "p99_us": round(1000 * stats.quantile(millis, 0.99), 1),
                  "p99_9_us": round(1000 * stats.quantile(millis, 0.999), 1)}
        cell.slices.append(slices.Slice(cell.name, "weir serve", 0, 0, values, ""))
        changed = sum(count for _, count, _, _ in parts)
        cell.extra.update(requests=len(times), longest_ms=round(millis[-1], 2), changed=changed)
        claim = report.Claim("p99 of GET /api/v1/health and /version beside it", 10, unit=" ms")
        claim.measured(values["p99_us"] / 1000)
        claim.note = (f"{len(times):,} requests beside {changed:,} changes of proxies; p50 {values['p50_us'] / 1000:.2f} "
                      f"ms, the longest {millis[-1]:.1f} ms")
        self.claims.append(claim)
        for what, count, seconds, beside in parts:
            own = sorted(1000 * each for each in beside) or [0]
            self.notes.append(f"{what}: {count:,} changes in {seconds:.2f} s; beside it p99 "
                              f"{stats.quantile(own, 0.99):.1f} ms, the longest {own[-1]:.1f} ms.")
        self.notes.append("Nothing is pinned; both clients are Python, whose own time is in the figures.")
