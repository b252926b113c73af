"""This weir against another one, such as that of the commit before: what a change of the code costs or gains."""

from . import report, slices
from .rows import Row, exchange_words
from .rows_faults import ALL_THREE
from .session import direct
from .subjects import Weir

REQUESTS = [(64, 1), (64, 50), (1024, 50)]


class Versions(Row):
    name = "versions"
    title = "This weir against another one"

    def estimate(self, session):
        return (len(REQUESTS) + 2) * session.block_seconds(5) * session.blocks()

    def measure(self, session):
        for size, connections in REQUESTS:
            self._measure(session, f"{size} B, {connections} connections", ["rr", *exchange_words(size, connections)])
        self._measure(session, "64 B, 50 connections, through three faults", ["rr", *exchange_words(64, 50)], ALL_THREE)
        self._measure(session, "connect, one request, close", ["crr"])

    def _measure(self, session, name, words, faults=()):
        cell = slices.Cell(name, "rate")
        self.cells.append(cell)
        ours, other = session.weir(faults=faults), Weir(session.against, "none", faults)
        ours.name, other.name = "weir", "other weir"
        with session.peer() as peer, session.started([ours, other, direct()], peer.address, self.notes) as up:
            participants = {each: lambda subject=subject: session.client(subject, peer.pid, *words)
                            for each, subject in up.items()}
            session.measure(cell, f"versions, {name}", participants, [ours.name, other.name], "direct", [],
                            [(ours.name, other.name, "cpu_us_per_request")])

    def conclude(self, pairs):
        for cell in self.cells:
            self.claims.append(report.ratio_claim(cell, f"{cell.name}: CPU per request against the other", 1.01, "weir",
                                                  "other weir", "cpu_us_per_request", pairs))
