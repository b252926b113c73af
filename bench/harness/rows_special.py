"""The rows that are not plain timed loads: memory, PostgreSQL, the views, the reader that never reads."""

import time

from . import load, report, slices, stats
from .postgres import Postgres
from .processes import StartError, pss_kib
from .rows import Row, exchange_name, exchange_words
from .session import CONTEXT_BLOCKS, direct
from .subjects import HAProxy, Naive, Nginx, Socat


class Memory(Row):
    name = "memory"
    title = "10,000 idle sessions after one exchange each"
    sessions = 10_000
    repeats = 3
    each = 6.0  # seconds, about

    def estimate(self, session):
        return self.each * (self.repeats if session.pairs >= 20 else 1) * 3

    def run(self, session):
        count = min(self.sessions, (session.place.descriptors - 200) // 2)
        if count < self.sessions:
            self.notes.append(f"{count:,} sessions: a process may open {session.place.descriptors:,} descriptors here "
                              "(RLIMIT_NOFILE, hard), and a relay needs two a session")
        cell = slices.Cell("bytes of user memory per session", "bytes")
        self.cells.append(cell)
        for block in range(self.repeats if session.pairs >= 20 else 1):
            for position, subject in enumerate(self.subjects(session)):
                session.progress.line(f"memory, run {block + 1}: {subject.name}")
                self.measure_one(session, cell, subject, count, block, position)
                session.progress.advance(self.each)
        self.claim(cell.medians("bytes"), cell)
        self.notes.append("Pss of the whole process tree with all sessions held, less the Pss after one session, "
                          "divided by the sessions. Each run starts a fresh process. The kernel's share (sockets, some "
                          "7.4 kB a session) is the same for all and not in it.")

    def subjects(self, session):
        return [session.weir(), HAProxy(), Nginx()]

    def claim(self, medians, cell):
        claim = report.Claim("Pss difference per session", 1024, unit=" B")
        if "weir" in medians:
            claim.measured(medians["weir"], pairs=len(cell.clean("weir")))
        claim.note = ", ".join(f"{name} {report.number(value)} B" for name, value in medians.items() if name != "weir")
        self.claims.append(claim)

    def measure_one(self, session, cell, subject, count, block, position):
        """One run: a fresh relay, its memory with one session and with `count`; a slice of `cell`."""
        with session.peer() as peer, session.started([subject], peer.address, self.notes) as up:
            if not up:
                return
            try:
                before = self._held(session, subject, 1)
                after = self._held(session, subject, count)
            except load.LoadFailed as error:
                self.notes.append(f"{subject.name} failed in run {block + 1}: {error}")
                return
        values = {"bytes": round((after - before) * 1024 / count, 1), "before_kib": before, "after_kib": after}
        cell.slices.append(slices.Slice(cell.name, subject.name, block, position, values, ""))

    @staticmethod
    def _held(session, subject, count):
        """Pss in KiB while `count` sessions are held, once two looks 0.2 s apart agree to 16 KiB."""
        client = load.GatedLoad(session.place, ["idle", subject.address, "--sessions", count])
        try:
            client.wait_gate("held", 60)
            last = pss_kib(subject.pid)
            for _ in range(20):
                time.sleep(0.2)
                now = pss_kib(subject.pid)
                if abs(now - last) <= 16:
                    break
                last = now
            client.open_gate()
            client.finish(20)
        finally:
            client.abandon()
        return now


class PostgresQueries(Row):
    name = "postgres"
    title = "PostgreSQL queries of 296 bytes, one connection"
    queries = 5000  # a slice: five times the 1,000 of the claim, or ticks would be too coarse to judge it
    naive_queries = 20

    def estimate(self, session):
        return session.blocks() * 4 * 0.9 + 14

    def run(self, session):
        reason = Postgres.missing()
        if reason:
            self.notes.append(f"not measured: {reason}")
            return
        cell = slices.Cell("one connection", "rate")
        self.cells.append(cell)
        server = Postgres(session.place)
        self.notes.append("Nothing is pinned in this row: as on a user's machine, the scheduler may put who is woken "
                          "beside who wakes it. With both ends on one CPU and the relay on another, each hop costs a "
                          "relayed query two wake-ups across CPUs, and a direct one none.")
        try:
            with session.place.unpinned():
                server.start()
                self._measure(session, cell, server)
        except StartError as error:
            self.notes.append(f"not measured: {error}")
        finally:
            server.stop()
        self.claims.append(report.ratio_claim(cell, "time for 1,000 queries against direct", 2.2, "weir", "direct",
                                              "rate", session.pairs, invert=True))
        self._tell_times(cell)

    def _measure(self, session, cell, server):
        everyone = [session.weir(), direct(), HAProxy(), Naive(session.weir_binary)]
        queries = self.queries if session.pairs >= 20 else 1000
        with session.started(everyone, server.address, self.notes) as up:
            def slice_of(subject, count):
                return lambda: session.client(subject, server.pid, "pg", "--queries", count, seconds=10)

            participants = {name: slice_of(subject, self.naive_queries if name == "naive relay" else queries)
                            for name, subject in up.items()}
            session.measure(cell, "postgres", participants, ["weir", "direct"], None, ["haproxy", "naive relay"],
                            [("weir", "direct", "rate")])

    def _tell_times(self, cell):
        rates = cell.medians("rate")
        for name in cell.subjects():
            if name in rates:
                self.notes.append(f"{name}: 1,000 queries take {1000 / rates[name]:.3f} s")
        if "naive relay" in rates and "direct" in rates:
            self.notes.append(f"The naive relay is {rates['direct'] / rates['naive relay']:,.0f} times slower than "
                              f"direct (measured over {self.naive_queries} queries a slice, scaled).")


class Views(Row):
    name = "views"
    title = "What watching costs: --show text and --show json to a file"
    shapes = [(64, 50), (4096, 50)]

    def estimate(self, session):
        return (len(self.shapes) * session.block_seconds(7) + session.block_seconds(5)) * session.blocks()

    def run(self, session):
        for size, connections in self.shapes:
            cell = slices.Cell(exchange_name(size, connections), "rate")
            self.cells.append(cell)
            words = exchange_words(size, connections)
            self._measure(session, cell, [session.weir(), session.weir("text"), session.weir("json")], "rr", words,
                          [(f"weir-{show}", "weir", "cpu_us_per_request") for show in ("text", "json")])
            for show in ("text", "json"):
                self.claims.append(report.ratio_claim(cell, f"{cell.name}: CPU per request, {show} against none", 2.0,
                                                      f"weir-{show}", "weir", "cpu_us_per_request", session.pairs))
        cell = slices.Cell("bulk, 1 stream downstream", "gbit_per_s")
        self.cells.append(cell)
        self._measure(session, cell, [session.weir("text"), Socat(verbose=True)], "bulk", [],
                      [("weir-text", "socat -v", "gbit_per_s")])
        self.claims.append(report.ratio_claim(cell, "bulk: throughput, text against socat -v", 10.0, "weir-text",
                                              "socat -v", "gbit_per_s", session.pairs, at_most=False))
        self.notes.append("The traffic is printable ASCII in lines of 64 bytes; both write to a file in memory.")

    def _measure(self, session, cell, subjects, mode, words, wanted):
        with session.peer() as peer, session.started([*subjects, direct()], peer.address, self.notes) as up:
            participants = {name: lambda subject=subject: session.client(subject, peer.pid, mode, *words)
                            for name, subject in up.items()}
            session.measure(cell, f"views, {cell.name}", participants, [subject.name for subject in subjects], "direct",
                            [], wanted)


class SlowReader(Row):
    name = "slow-reader"
    title = "One reader that never reads among 100"
    limit_kib = 64 * 1024  # more than this for one stuck reader, or growth over time, is not bounded memory

    def estimate(self, session):
        return session.block_seconds(5) * session.blocks() + session.block_seconds(2) * CONTEXT_BLOCKS + 20

    def run(self, session):
        cell = slices.Cell("99 readers, 64 B each", "rate")
        self.cells.append(cell)
        with session.peer() as peer:
            with session.started([session.weir(), HAProxy(), direct()], peer.address, self.notes) as up:
                self._measure(session, cell, up, peer)
                if "weir" in up:
                    self._measure_memory(session, cell, up["weir"], peer)
        self.claims.append(report.ratio_claim(cell, "p99 of the 99 with the stuck reader against without", 1.2,
                                              "weir, stuck", "weir", "p99_us", session.pairs))
        self._claim_memory(cell)

    def _measure(self, session, cell, up, peer):
        words = exchange_words(64, 99)
        closed = {name: [session.client(subject, peer.pid, "rr", *words, seconds=0.6)["rate"] for _ in range(3)]
                  for name, subject in up.items() if name != "direct"}
        if "weir" not in closed:
            return
        # One rate for all: 60 % of what the slower of the two relays can do.
        rate = 0.6 * min(stats.median(rates) for rates in closed.values())
        cell.extra["rate"] = round(rate)
        self.notes.append(f"Open loop, {round(rate):,} requests a second over the 99; `direct` is the closed loop, the "
                          "gauge. The stuck reader asks for endless bytes and never reads.")
        participants = {"direct": lambda: session.client(up["direct"], peer.pid, "rr", *words)}
        for name, subject in up.items():
            if name != "direct":
                for label, stuck in ((name, []), (f"{name}, stuck", ["--stuck", 1])):
                    participants[label] = lambda subject=subject, stuck=stuck: session.client(
                        subject, peer.pid, "rr", *words, "--rate", rate, *stuck)
        session.measure(cell, "slow reader", participants, ["weir", "weir, stuck"], "direct",
                        ["haproxy", "haproxy, stuck"], [("weir, stuck", "weir", "p99_us")])

    @staticmethod
    def _measure_memory(session, cell, weir, peer):
        """Pss with the reader stuck for one second and for six."""
        for label, seconds in (("pss_kib_stuck_1s", 1), ("pss_kib_stuck_6s", 6)):
            session.progress.line(f"slow reader: memory after {seconds} s")
            told = session.client(weir, peer.pid, "rr", *exchange_words(64, 99), "--stuck", 1, seconds=seconds)
            cell.extra[label] = told["pss_kib"].get("proxy", 0)

    def _claim_memory(self, cell):
        medians = cell.medians("pss_kib")
        if not {"weir", "weir, stuck"} <= set(medians):
            return
        claim = report.Claim("memory that the stuck reader costs (Pss, stuck less not stuck)", self.limit_kib,
                             unit=" KiB")
        claim.measured(max(0.0, medians["weir, stuck"] - medians["weir"]), pairs=len(cell.clean("weir, stuck")))
        growth = report.Claim("its growth from 1 s to 6 s of not reading", 1024, unit=" KiB")
        if "pss_kib_stuck_6s" in cell.extra:
            growth.measured(float(cell.extra["pss_kib_stuck_6s"] - cell.extra["pss_kib_stuck_1s"]))
        self.claims += [claim, growth]
