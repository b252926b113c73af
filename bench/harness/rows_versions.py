"""This weir against another one, such as that of the commit before: what a change of the code costs or gains."""

from . import report, slices
from .rows import Row, exchange_words
from .rows_faults import ALL_THREE
from .rows_special import Memory
from .session import direct
from .subjects import Weir

REQUESTS = [(64, 1), (64, 50), (1024, 50)]


class Versions(Row):
    name = "versions"
    title = "This weir against another one"

    def estimate(self, session):
        memory = Memory()
        return (len(REQUESTS) + 2) * session.block_seconds(5) * session.blocks() + \
            2 * session.block_seconds(5) * session.blocks() + 2 * memory.each * memory.repeats

    def measure(self, session):
        for size, connections in REQUESTS:
            self._measure(session, f"{size} B, {connections} connections", ["rr", *exchange_words(size, connections)])
        self._measure(session, "64 B, 50 connections, through three faults", ["rr", *exchange_words(64, 50)], ALL_THREE)
        self._measure(session, "connect, one request, close", ["crr"])
        with session.place.unpinned():  # as the rows bulk and fault-relay are
            for name, faults in [("bulk downstream", []), ("bulk downstream, through three faults", ALL_THREE)]:
                self._measure(session, name, ["bulk"], faults, "gbit_per_s")
        self._measure_memory(session)

    def _measure_memory(self, session):
        memory = Memory()
        self.memory = slices.Cell("bytes of user memory per idle session", "bytes")
        count = min(memory.sessions, (session.place.descriptors - 200) // 2)
        for block in range(memory.repeats if session.pairs >= 20 else 1):
            for position, subject in enumerate(self._both(session, [])):
                memory.measure_one(session, self.memory, subject, count, block, position)
        self.notes += memory.notes
        self.cells.append(self.memory)

    @staticmethod
    def _both(session, faults):
        ours, other = session.weir(faults=faults), Weir(session.against, "none", faults)
        ours.name, other.name = "weir", "other weir"
        return ours, other

    def _measure(self, session, name, words, faults=(), figure="rate"):
        cell = slices.Cell(name, figure)
        self.cells.append(cell)
        ours, other = self._both(session, faults)
        with session.peer() as peer, session.started([ours, other, direct()], peer.address, self.notes) as up:
            participants = {each: lambda subject=subject: session.client(subject, peer.pid, *words)
                            for each, subject in up.items()}
            session.measure(cell, f"versions, {name}", participants, [ours.name, other.name], "direct", [],
                            [(ours.name, other.name, figure if figure != "rate" else "cpu_us_per_request")])

    def conclude(self, pairs):
        for cell in self.cells:
            if cell is self.memory:
                self._conclude_memory(cell)
            elif cell.name.startswith("bulk"):
                self.claims.append(report.ratio_claim(cell, f"{cell.name}: throughput against the other", 0.99, "weir",
                                                      "other weir", "gbit_per_s", pairs, at_most=False))
            else:
                self.claims.append(report.ratio_claim(cell, f"{cell.name}: CPU per request against the other", 1.01,
                                                      "weir", "other weir", "cpu_us_per_request", pairs))

    def _conclude_memory(self, cell):
        medians = cell.medians("bytes")
        claim = report.Claim("bytes per idle session against the other", 1.01, unit="x")
        if "weir" in medians and "other weir" in medians:
            claim.measured(medians["weir"] / medians["other weir"], pairs=len(cell.clean("weir")))
            claim.note = ", ".join(f"{name} {report.number(value)} B" for name, value in medians.items())
        self.claims.append(claim)
