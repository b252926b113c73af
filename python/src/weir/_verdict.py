"""What the diagnosis of a server says of lost time. The names are those of the API and of `weir why --json`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, List, Mapping, Optional

from ._http import Api, part


@dataclass(frozen=True)
class Verdict:
    """Whose time one pause was, and why."""

    session: int
    exchange: int  # in the session, from 1; 0: before the first
    start: int  # nanoseconds of the server's monotonic clock
    length_ns: int
    cause: str  # docs/causes.md
    side: str  # "client", "server", "path.client", "path.server" or "weir"
    who: str
    certainty: str  # "likely", "shown" or "proven"
    towards: str = ""  # a client's server, where there may be several
    evidence: Mapping[str, int] = field(default_factory=dict)
    fix: str = ""
    text: str = ""
    id: Optional[int] = None  # of those that are asked for one by one
    proxy: Optional[str] = None
    time: Optional[float] = None  # when the pause began, seconds since 1970

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Verdict:
        return cls(**{name: data[name] for name in cls.__dataclass_fields__ if name in data})

    def __str__(self) -> str:
        fix = f"; fix: {self.fix}" if self.fix else ""
        return (f"session {self.session}, exchange {self.exchange}: lost {self.length_ns / 1e6:.1f} ms to {self.who}: "
                f"{self.cause} ({self.certainty}): {self.text}{fix}")


@dataclass(frozen=True)
class Loss:
    """What one cause cost on one side."""

    cause: str
    side: str
    who: str
    towards: str  # a client's server, where there may be several; else empty
    certainty: str
    proof: str
    times: int
    lost_ns: int
    share: float  # of the time of all exchanges
    p50_ns: int
    p99_ns: int
    text: str
    fix: str

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Loss:
        return cls(**{name: data[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Report:
    """Who lost the time of a proxy's exchanges, and why; as text, what `weir why` prints."""

    sessions: int
    exchanges: int
    span_ns: int
    causes: List[Loss]  # by lost time, the largest first
    worst: List[Verdict]  # the longest pauses, the longest first
    undecided: List[Mapping[str, Any]]
    unknown: Mapping[str, Any]
    lines: List[str] = field(default_factory=list, repr=False, compare=False)

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Report:
        return cls(sessions=data["sessions"], exchanges=data["exchanges"], span_ns=data["span_ns"],
                   causes=[Loss.read(each) for each in data["causes"]],
                   worst=[Verdict.read(each) for each in data["worst"]],
                   undecided=list(data["undecided"]), unknown=data["unknown"], lines=list(data["lines"]))

    def __str__(self) -> str:
        return "\n".join(self.lines)


def report_of(api: Api, proxy: str) -> Report:
    return Report.read(api.ask("GET", f"/api/v1/proxies/{part(proxy)}/report?columns=110"))


def verdicts_of(api: Api, proxy: str, after: Optional[int], limit: int) -> List[Verdict]:
    from_there = "" if after is None else f"&after={after}"
    answer = api.ask("GET", f"/api/v1/verdicts?proxy={part(proxy)}&limit={limit}{from_there}")
    return [Verdict.read(each) for each in answer["verdicts"]]
