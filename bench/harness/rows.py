"""The rows whose slices are timed loads through the echo server: bulk, requests, connections."""

from . import report, slices, stats, syscalls
from .load import LoadFailed
from .processes import StartError
from .session import CONTEXT_BLOCKS, direct
from .subjects import HAProxy, Nginx, Socat

# What HAProxy is tuned with in bulk: the default of a pipe, and the most that it may have.
TUNED_PIPES = (64 * 1024, 1024 * 1024)
EXCHANGES = [(size, connections) for size in (64, 4096) for connections in (1, 50, 500)]


def exchange_name(size, connections):
    return f"{'64 B' if size == 64 else '4 KiB'}, {connections} connection{'s' if connections > 1 else ''}"


def exchange_words(size, connections):
    return ["--request", size, "--response", size, "--connections", connections]


class Row:
    """One row of the table. run() fills cells, claims and notes; estimate() tells the seconds it plans.
    Where run() is measure() and then conclude(), claims can be made again from stored slices (--recount)."""

    name = title = "?"
    gauge_metric = "rate"  # of `direct`; what the void rule looks at

    def __init__(self):
        self.cells = []
        self.claims = []
        self.notes = []

    def estimate(self, session):
        raise NotImplementedError

    def run(self, session):
        self.measure(session)
        self.conclude(session.pairs)


class Bulk(Row):
    name = "bulk"
    title = "Bulk, one stream and eight"
    gauge_metric = "gbit_per_s"
    shapes = [(streams, way) for streams in (1, 8) for way in ("down", "up")]

    def estimate(self, session):
        a_cell = session.block_seconds(8) * session.blocks() + session.block_seconds(3) * CONTEXT_BLOCKS
        return len(self.shapes) * a_cell

    def measure(self, session):
        for streams, way in self.shapes:
            arrow = "downstream" if way == "down" else "upstream"
            cell = slices.Cell(f"{streams} stream{'s' if streams > 1 else ''}, {arrow}", self.gauge_metric)
            self.cells.append(cell)
            with session.place.unpinned():
                self._measure(session, cell, ["--streams", streams, "--direction", way])

    def conclude(self, pairs):
        for cell in self.cells:
            best = self._best(cell)
            if best is not None:
                for metric, limit, what, at_most in (("gbit_per_s", 1.1, "throughput", False),
                                                     ("machine_us_per_mib", 0.85, "the machine's CPU per MiB", True),
                                                     ("cpu_us_per_mib", 0.95, "the relay's CPU per MiB", True)):
                    self.claims.append(report.ratio_claim(cell, f"{cell.name}: {what} against {best}", limit, "weir",
                                                          best, metric, pairs, at_most=at_most))
            self.claims.append(report.ratio_claim(
                cell, f"{cell.name}: throughput against direct", 0.75, "weir", "direct", "gbit_per_s", pairs,
                at_most=False))
        self.notes.append("Nothing is pinned in this row. With client and server on one CPU their copying fills it, the "
                          "relay idles, and what comes out says how the two take turns.")
        self.notes.append("HAProxy splices both ways, with the pipes that give it the higher throughput in each cell; "
                          "2.6 has no option for the congestion control of its legs. Weir's are at their default, "
                          "`congestion=auto`.")
        self.notes.append("A packet that is sent from the relay's own splice runs the receiver's work on the relay's "
                          "account: beside the relay's CPU stands that of the whole machine.")

    @staticmethod
    def _best(cell):
        medians = {name: value for name, value in cell.medians("gbit_per_s").items() if name.startswith("haproxy, pipes")}
        return max(medians, key=medians.get) if medians else None

    def _measure(self, session, cell, words):
        tuned = [HAProxy(size) for size in TUNED_PIPES]
        names = [each.name for each in tuned]
        with session.peer() as peer:
            everyone = [session.weir(), *tuned, direct(), HAProxy(), Nginx(), Socat()]
            with session.started(everyone, peer.address, self.notes) as up:
                participants = {name: lambda subject=subject: session.client(subject, peer.pid, "bulk", *words)
                                for name, subject in up.items()}
                session.measure(cell, f"bulk, {cell.name}", participants, ["weir", *names, "direct"], None,
                                ["haproxy", "nginx", "socat"],
                                [("weir", name, "gbit_per_s") for name in (*names, "direct")])


class Requests(Row):
    name = "requests"
    title = "Request/response, closed loop"

    def estimate(self, session):
        a_cell = session.block_seconds(5) * session.blocks() + session.block_seconds(1) * CONTEXT_BLOCKS + 4
        return len(EXCHANGES) * a_cell

    def measure(self, session):
        for size, connections in EXCHANGES:
            cell = slices.Cell(exchange_name(size, connections), self.gauge_metric)
            self.cells.append(cell)
            self._measure(session, cell, exchange_words(size, connections), 20000 if session.pairs >= 20 else 4000)
            rate = cell.medians("rate").get("haproxy")
            if rate:
                session.haproxy_rates[cell.name] = rate
        if session.counter is None:
            self.notes.append("System calls were not counted: neither perf nor strace is there.")
            return
        self.notes.append(f"System calls: {session.counter.name} around a fixed number of exchanges in the steady "
                          "state, apart from the timed slices; an exchange is two messages, one each direction. With "
                          "one connection every message wakes the relay by itself, so epoll_wait, recv and send are "
                          "three.")

    def conclude(self, pairs):
        self._claim_ratios(pairs)
        self._claim_calls()

    def _measure(self, session, cell, words, counted):
        with session.peer() as peer:
            everyone = [session.weir(), HAProxy(), direct(), Nginx()]
            with session.started(everyone, peer.address, self.notes) as up:
                participants = {name: lambda subject=subject: session.client(subject, peer.pid, "rr", *words)
                                for name, subject in up.items()}
                session.measure(cell, f"requests, {cell.name}", participants, ["weir", "haproxy"], "direct", ["nginx"],
                                [("weir", "haproxy", "cpu_us_per_request")])
                for name in ("weir", "haproxy", "nginx"):
                    if name in up and session.counter is not None:
                        session.progress.line(f"requests, {cell.name}: system calls of {name}")
                        self._count(session, cell, up[name], words, counted)
        session.progress.advance(4)

    def _count(self, session, cell, subject, words, counted):
        try:
            counts = syscalls.count(session.place, session.counter, subject, words, counted)
        except (StartError, LoadFailed) as error:
            self.notes.append(f"{cell.name}: system calls of {subject.name} not counted: {error}")
            return
        # A request crosses the relay once in each direction: two messages.
        cell.extra[f"syscalls_per_message {subject.name}"] = round(counts["all"] / counts["requests"] / 2, 4)
        cell.extra[f"epoll_ctl {subject.name}"] = counts["epoll_ctl"]
        cell.extra["exchanges_counted"] = counts["requests"]

    def _claim_ratios(self, pairs):
        cpu = [cell.ratios("weir", "haproxy", "cpu_us_per_request") for cell in self.cells]
        mean = report.Claim("CPU per request against HAProxy, geometric mean of the six cells", 0.9)
        if all(cpu):
            mean.measured(*stats.geometric_mean_of_medians(cpu), pairs=min(map(len, cpu)))
        for cell, ratios in zip(self.cells, cpu):
            report.check_validity(mean, cell, len(ratios), pairs)
        self.claims.append(mean)
        for cell in self.cells:
            self.claims.append(report.ratio_claim(cell, f"{cell.name}: CPU per request against HAProxy", 1.0, "weir",
                                                  "haproxy", "cpu_us_per_request", pairs))
        for cell in self.cells:
            self.claims.append(report.ratio_claim(cell, f"{cell.name}: throughput against HAProxy", 0.97, "weir",
                                                  "haproxy", "rate", pairs, at_most=False))

    def _claim_calls(self):
        for cell in self.cells:
            claim = report.Claim(f"{cell.name}: system calls a message and direction", 2.1, unit="")
            control = report.Claim(f"{cell.name}: epoll_ctl in the steady state", 0, unit="")
            value = cell.extra.get("syscalls_per_message weir")
            if value is not None:
                claim.measured(value)
                control.measured(cell.extra["epoll_ctl weir"])
                others = [f"{name} {cell.extra[key]:.2f}" for name in ("haproxy", "nginx")
                          if (key := f"syscalls_per_message {name}") in cell.extra]
                claim.note = ", ".join(others)
                controls = [f"{name} {cell.extra[key]}" for name in ("haproxy", "nginx")
                            if (key := f"epoll_ctl {name}") in cell.extra]
                control.note = ", ".join(controls) + f" in {cell.extra['exchanges_counted']} exchanges"
            self.claims += [claim, control]


class OpenLoop(Row):
    name = "open-loop"
    title = "Request/response, open loop at 60 % of HAProxy's rate"
    share = 0.6

    def estimate(self, session):
        return len(EXCHANGES) * (session.block_seconds(5) * session.blocks() + 3)

    def measure(self, session):
        for size, connections in EXCHANGES:
            cell = slices.Cell(exchange_name(size, connections), self.gauge_metric)
            self.cells.append(cell)
            self._measure(session, cell, exchange_words(size, connections))

    def conclude(self, pairs):
        for cell in self.cells:
            self.claims.append(report.ratio_claim(cell, f"{cell.name}: p99 against HAProxy", 1.1, "weir", "haproxy",
                                                  "p99_us", pairs))
        self.notes.append("A latency runs from the moment the request was due, so that waiting behind a stall counts. "
                          "Requests are due at even intervals, spread over the connections in turn. `direct` is the "
                          "closed loop, the gauge of the machine's steadiness.")

    def _measure(self, session, cell, words):
        with session.peer() as peer:
            with session.started([session.weir(), HAProxy(), direct()], peer.address, self.notes) as up:
                rate = session.haproxy_rates.get(cell.name) or self._haproxy_rate(session, up, peer, words)
                session.progress.advance(3)
                if rate is None:
                    return
                cell.extra["rate"] = round(self.share * rate)
                cell.notes.append(f"{cell.name}: {cell.extra['rate']:,} requests a second")
                participants = {
                    name: lambda subject=subject: session.client(subject, peer.pid, "rr", *words, "--rate",
                                                                 self.share * rate)
                    for name, subject in up.items() if name != "direct"}
                participants["direct"] = lambda: session.client(up["direct"], peer.pid, "rr", *words)
                session.measure(cell, f"open loop, {cell.name}", participants, ["weir", "haproxy"], "direct", [],
                                [("weir", "haproxy", "p99_us")])

    def _haproxy_rate(self, session, up, peer, words):
        if "haproxy" not in up:
            return None
        rates = [session.client(up["haproxy"], peer.pid, "rr", *words, seconds=0.6)["rate"] for _ in range(3)]
        return stats.median(rates)


class Connections(Row):
    name = "connections"
    title = "Connect, one request, close"

    def estimate(self, session):
        return session.block_seconds(5) * session.blocks() + session.block_seconds(1) * CONTEXT_BLOCKS

    def measure(self, session):
        cell = slices.Cell("64 B, 16 connections at a time", self.gauge_metric)
        self.cells.append(cell)
        with session.peer() as peer:
            with session.started([session.weir(), HAProxy(), direct(), Nginx()], peer.address, self.notes) as up:
                participants = {name: lambda subject=subject: session.client(subject, peer.pid, "crr")
                                for name, subject in up.items()}
                session.measure(cell, "connections", participants, ["weir", "haproxy"], "direct", ["nginx"],
                                [("weir", "haproxy", "cpu_us_per_request")])

    def conclude(self, pairs):
        cell = self.cells[0]
        self.claims.append(report.ratio_claim(cell, "CPU per connection against HAProxy", 1.0, "weir", "haproxy",
                                              "cpu_us_per_request", pairs))
        ratios = cell.ratios("weir", "haproxy", self.gauge_metric)
        if ratios:
            value, low, high = stats.median_with_interval(ratios)
            self.notes.append(f"Connections a second against HAProxy: {value:.3f}x [{low:.3f}, {high:.3f}].")
