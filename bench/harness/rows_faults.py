"""What faults cost, and how exact they are: the relay through them, the error of a delay, a cap's evenness,
memory."""

from . import load, report, slices, stats
from .rows import Row, exchange_words
from .rows_special import Memory
from .session import CONTEXT_BLOCKS, direct
from .subjects import Socat, Toxiproxy

LATENCY = "latency latency=1ms"
ALL_THREE = [LATENCY, "bandwidth rate=10GB/s", "limit_data bytes=4611686018427387904"]  # 2^62
TOXICS = [("latency", {"latency": 1}), ("bandwidth", {"rate": 10_000_000}), ("limit_data", {"bytes": 2 ** 62})]


class Way:
    """Faults that the relay is measured through, toxiproxy's like, and what it must show."""

    def __init__(self, label, faults, toxics, against_socat, against_none):
        self.label, self.faults, self.toxics = label, faults, toxics
        self.against_socat, self.against_none = against_socat, against_none

    def named(self, subject):
        return f"{subject}, {self.label}" if self.label else subject


WAYS = [Way("", [], [], 2.5, None), Way("1 ms", [LATENCY], TOXICS[:1], 2.0, 1.3),
        Way("1 ms, 10 GB/s, 2^62 B", ALL_THREE, TOXICS, 1.5, 1.6)]


class FaultRelay(Row):
    name = "fault-relay"
    title = "The relay through faults"

    def estimate(self, session):
        bulk = session.block_seconds(9) * session.blocks() + session.block_seconds(3) * CONTEXT_BLOCKS
        return bulk + session.block_seconds(7) * session.blocks()

    def measure(self, session):
        bulk = slices.Cell("bulk, 1 stream downstream", "gbit_per_s")
        requests = slices.Cell("64 B, 50 connections", "rate")
        self.cells += [bulk, requests]
        ours = [session.weir(faults=way.faults, label=way.label) for way in WAYS]
        theirs = [Toxiproxy(way.toxics, way.label) for way in WAYS]
        with session.peer() as peer:
            with session.place.unpinned(), session.started([*ours, Socat(), direct(), *theirs], peer.address,
                                                           self.notes) as up:
                participants = {name: lambda subject=subject: session.client(subject, peer.pid, "bulk")
                                for name, subject in up.items()}
                session.measure(bulk, "faults, bulk", participants, [each.name for each in [*ours, Socat(), direct()]],
                                None, [each.name for each in theirs],
                                [(each.name, "socat", "gbit_per_s") for each in ours])
            with session.started([*ours, direct()], peer.address, self.notes) as up:
                self._measure_requests(session, requests, up, peer, [each.name for each in ours])

    @staticmethod
    def _measure_requests(session, cell, up, peer, names):
        """All at one rate: a latency of 1 ms makes a closed loop slower, and what wakes the relay up would differ."""
        words = exchange_words(64, 50)
        rates = [session.client(up[names[-1]], peer.pid, "rr", *words, seconds=0.6)["rate"] for _ in range(3)]
        cell.extra["rate"] = round(0.6 * stats.median(rates))
        participants = {name: lambda subject=subject: session.client(subject, peer.pid, "rr", *words, "--rate",
                                                                     cell.extra["rate"])
                        for name, subject in up.items() if name != "direct"}
        participants["direct"] = lambda: session.client(up["direct"], peer.pid, "rr", *words)
        session.measure(cell, f"faults, {cell.name}", participants, names, "direct", [],
                        [(name, "weir", "cpu_us_per_request") for name in names[1:]])

    def conclude(self, pairs):
        bulk, requests = self.cells
        for way in WAYS:
            self.claims.append(report.ratio_claim(
                bulk, f"bulk through {way.label or 'nothing'}: throughput against socat", way.against_socat,
                way.named("weir"), "socat", "gbit_per_s", pairs, at_most=False))
            self._tell_toxiproxy(bulk, way)
        for way in WAYS[1:]:
            self.claims.append(report.ratio_claim(
                requests, f"CPU per request through {way.label} against no fault", way.against_none, way.named("weir"),
                "weir", "cpu_us_per_request", pairs))
        self.notes.append("Faults are on the downstream. Bulk is not pinned, as in the row of that name. toxiproxy 2.12 "
                          "has the same toxics and GOMAXPROCS=1; no claim names it.")
        self.notes.append(f"CPU per request: open loop, {requests.extra['rate']:,} requests a second through each, 60 % "
                          "of what the closed loop gives through all three faults. `direct` is the closed loop, the "
                          "gauge.")


    def _tell_toxiproxy(self, bulk, way):
        ratios = bulk.ratios(way.named("weir"), way.named("toxiproxy"), "gbit_per_s")
        if ratios:
            self.notes.append(f"bulk through {way.label or 'nothing'}: {stats.median(ratios):.2f}x toxiproxy.")


class FaultDelay(Row):
    name = "fault-delay"
    title = "The error of a delay: latency 50 ms against latency 0"
    connections, rate, seconds = 1000, 10_000, 3.0

    def estimate(self, session):
        return (4 * (self.seconds + 1) + session.block_seconds(1)) * session.pairs / 4

    def measure(self, session):
        cell = slices.Cell("1,000 sessions, 64 B each every 100 ms", self.gauge_metric)
        self.cells.append(cell)
        words = [*exchange_words(64, self.connections), "--rate", self.rate]
        subjects = [session.weir(faults=[f"latency latency={text}"], label=f"latency {text}")
                    for text in ("50ms", "0ms")]
        with session.peer() as peer, session.started([*subjects, direct()], peer.address, self.notes) as up:
            participants = {name: lambda subject=subject: session.client(subject, peer.pid, "rr", *words,
                                                                         seconds=self.seconds)
                            for name, subject in up.items() if name != "direct"}
            participants["direct"] = lambda: session.client(up["direct"], peer.pid, "rr", *exchange_words(64, 50))
            names = [each.name for each in subjects]
            session.measure(cell, "delay", participants, names, "direct", [], [(*names, "p99_us")],
                            pairs=max(2, session.pairs // 2))

    def conclude(self, pairs):
        cell = self.cells[0]
        wanted = max(2, pairs // 2)  # the slices are long
        for metric, text, limit, at_most in (
                ("p99_us", "p99 with 50 ms less p99 with 0, less 50 ms", 1.0, True),
                ("min_us", "the soonest with 50 ms less the soonest with 0, less 50 ms (never early)", 0.0, False)):
            errors = [(late - 50_000 - soon) / 1000 for late, soon in
                      cell.pairs("weir, latency 50ms", "weir, latency 0ms", metric)]
            claim = report.Claim(text, limit, at_most=at_most, unit=" ms")
            if errors:
                claim.measured(*stats.median_with_interval(errors), pairs=len(errors))
            self.claims.append(report.check_validity(claim, cell, len(errors), wanted))
        self.notes.append("A latency runs from when the request was due to the last byte of its answer. The histogram's "
                          "steps are of 0.4 %, 0.2 ms at 50 ms, and a quantile is told by its step's upper edge: the "
                          "error is told up to 0.2 ms too large. The minimum is exact.")


class FaultBandwidth(Row):
    name = "fault-bandwidth"
    title = "A cap's evenness: any window of 1 s after the first 200 ms"
    gauge_metric = "gbit_per_s"
    seconds = 4.2
    streams = 4  # of the shared cap

    def estimate(self, session):
        return 8 * self._repeats(session) * (self.seconds + 1)

    @staticmethod
    def _repeats(session):
        return 3 if session.pairs >= 20 else 1

    def measure(self, session):
        with session.peer() as peer, session.place.unpinned():
            cell = slices.Cell("unshaped", self.gauge_metric)
            self.cells.append(cell)
            with session.started([session.weir()], peer.address, self.notes) as up:
                told = [session.client(up["weir"], peer.pid, "bulk", seconds=1.0) for _ in range(3)]
            half = stats.median([each["gbit_per_s"] for each in told]) * 1e9 / 8 / 2
            cell.extra["half_unshaped_bytes_per_s"] = round(half)
            for rate in (10_000, 100_000, 10_000_000, round(half, -6)):
                self._measure(session, peer, int(rate), "session", 1)
                self._measure(session, peer, int(rate), "proxy", self.streams)

    def _measure(self, session, peer, rate, scope, streams):
        shared = "one stream" if scope == "session" else f"shared by {streams}"
        cell = slices.Cell(f"{_rate_text(rate)}, {shared}", self.gauge_metric)
        cell.extra["rate"] = rate
        self.cells.append(cell)
        subject = session.weir(faults=[f"bandwidth rate={rate}B/s scope={scope}"], label=cell.name)
        for repeat in range(self._repeats(session)):
            session.progress.line(f"bandwidth, {cell.name}, run {repeat + 1}")
            with session.started([subject], peer.address, self.notes) as up:
                if not up:
                    return
                told = load.run(session.place, ["pace", subject.address, "--streams", streams, "--seconds",
                                                self.seconds], self.seconds + 25)
            session.progress.advance(self.seconds + 1)
            arrivals = [(at, size) for _, at, size in told["arrivals"]]
            least, most = stats.window_extremes(arrivals, 1.0, 0.2, self.seconds)
            largest = max(size for at, size in arrivals if at >= 0.2)
            values = {"least_window": round(least / rate, 4), "most_window": round(most / rate, 4),
                      "largest_slice_ms": round(largest / rate * 1000, 2)}
            cell.slices.append(slices.Slice(cell.name, subject.name, repeat, 0, values, ""))

    def conclude(self, _pairs):
        for cell in self.cells:
            if "rate" not in cell.extra or not cell.slices:
                continue
            allowed = 0.05 if cell.extra["rate"] <= 10_000 else 0.02
            worst = max(max(abs(each.values["least_window"] - 1), abs(each.values["most_window"] - 1))
                        for each in cell.slices)
            runs = len(cell.slices)
            self.claims.append(report.Claim(f"{cell.name}: the worst window's error", 100 * allowed, unit=" %")
                               .measured(100 * worst, pairs=runs))
            self.claims.append(report.Claim(f"{cell.name}: the largest slice", 20, unit=" ms of the rate").measured(
                max(each.values["largest_slice_ms"] for each in cell.slices), pairs=runs))
        half = self.cells[0].extra["half_unshaped_bytes_per_s"] / 1e9
        self.notes.append(f"The largest cap is half of what one unshaped stream has here, {half:.2f} GB/s. Every window "
                          "of every run is looked at, as the client's socket had it; reads within 0.2 ms of each other "
                          "are one slice. Nothing is pinned.")


def _rate_text(rate):
    return f"{rate / 1e9:.2f} GB/s" if rate >= 1e9 else f"{rate // 1_000_000} MB/s" if rate >= 1e6 else \
        f"{rate // 1000} KB/s"


class FaultMemory(Memory):
    """Memory's way of measuring, with other subjects."""

    name = "fault-memory"
    title = "10,000 idle sessions under faults"
    shapes = [("latency both ways, bandwidth, limit_data",
               ["latency latency=1ms direction=both", "bandwidth rate=10GB/s", "limit_data bytes=1TB"])]

    def estimate(self, session):
        return self.each * (self.repeats if session.pairs >= 20 else 1) * (1 + len(self.shapes))

    def subjects(self, session):
        return [session.weir(), *(session.weir(faults=faults, label=label) for label, faults in self.shapes)]

    def claim(self, medians, cell):
        for label, _ in self.shapes:
            claim = report.Claim(f"{label}: more than the bare relay", 1536, unit=" B a session")
            if {"weir", f"weir, {label}"} <= set(medians):
                claim.measured(medians[f"weir, {label}"] - medians["weir"], pairs=len(cell.clean(f"weir, {label}")))
            self.claims.append(claim)
