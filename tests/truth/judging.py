"""A report of `weir why --json` against what a run did."""

import re
from dataclasses import asdict, dataclass, field

from scenario import CERTAINTIES

NOISE = 0.02          # seconds that a run may lose to anything
PART = 0.3            # of the true lost time: what is told of less is no claim about this run
STRAINED = (0.6, 1.6)  # by which the tolerance is wider then
BUSY = frozenset(("own_lag", "cpu_starved", "think", "not_read"))  # which busy machines do make


@dataclass
class Judgement:
    scenario: str
    run: int
    busy: bool
    strained: bool = False
    state: str = "played"  # played | not provoked | skipped | broken
    told: str = ""         # the cause that the report gives the run to
    right: bool = False    # the expected, on its side, with about the true lost time
    strong: bool = False   # and with the certainty that the scenario asks for
    claims: list = field(default_factory=list)  # (cause, side, certainty, is it true?) of some weight
    lost: float = 0.0
    exchanges: int = 0
    false_verdicts: int = 0  # of healthy exchanges
    note: str = ""

    def as_json(self):
        return asdict(self)


@dataclass(frozen=True)
class Row:
    cause: str
    side: str
    certainty: str
    times: int
    lost: float


def rows_of(report):
    rows = [Row(each["cause"], each["side"], each["certainty"], each["times"], each["lost_ns"] / 1e9)
            for each in report["causes"]]
    named = {each.cause for each in rows}
    for each in report.get("undecided", []):
        if "undecided" not in named:
            rows.append(Row("undecided", each.get("side", ""), "likely", each.get("times", 1),
                            each.get("lost_ns", each.get("length_ns", 0)) / 1e9))
    if "client_think" not in named and report["idle_ns"]:
        rows.append(Row("client_think", "client", "shown", 1, report["idle_ns"] / 1e9))
    unknown = report.get("unknown", {})
    if unknown.get("times"):
        rows.append(Row("unknown", "", "likely", unknown["times"], unknown["lost_ns"] / 1e9))
    return rows


def weight(row, truth):
    """The row's time, without what the path's round trips take of it."""
    return row.lost - (1.3 * truth.round_trip * truth.exchanges if row.cause in ("think", "unknown") else 0.0)


def judge(scenario, truth, report, run, busy, weirs_own=0.0, strained=False):
    """`weirs_own`: seconds that Weir's threads ran or waited for a CPU: as much own lag is told rightly of each session
    that was open at the time. `strained`: processes waited for a CPU for most of the run, so that its peers measured that
    as well."""
    rows = [row for row in rows_of(report) if row.cause != "own_lag" or row.cause in scenario.cause
            or row.lost > 1.5 * weirs_own * truth.at_once + NOISE]
    it = Judgement(scenario.name, run, busy, strained=strained, lost=truth.lost, exchanges=report["exchanges"])
    expected = [row for row in rows if row.cause in scenario.cause and (row.side in scenario.sides or row.cause == "unknown")]
    least, most = truth.tolerance or scenario.tolerance
    if strained:
        least, most = least * STRAINED[0], most * STRAINED[1]
    found = sum(row.lost for row in expected)
    floor = max(NOISE, PART * truth.lost)
    heavy = [row for row in rows if weight(row, truth) >= floor
             and (row.cause != "client_think" or "client_think" in scenario.cause)]
    others = [row for row in heavy if row not in expected]
    if not scenario.cause:
        it.right = it.strong = not claims_false(scenario, others, busy, truth, strained)
        it.told = "healthy" if it.right else claims_false(scenario, others, busy, truth, strained)[0].cause
        it.false_verdicts = sum(row.times for row in rows if row.cause not in ("think", "client_think", "unknown", *scenario.also))
    else:
        in_time = truth.lost == 0.0 or least * truth.lost <= found <= most * truth.lost + NOISE
        advised = any(re.search(scenario.fix, each.get("fix", "")) for each in report["causes"] if each["cause"] in scenario.cause)
        it.right = bool(expected) and in_time and (advised or not scenario.fix)
        if it.right:
            it.told = scenario.expected
        else:
            told = max(heavy, key=lambda row: row.lost, default=None)
            it.told = "nothing" if told is None else told.cause
            if told is not None and told in expected:
                it.told = f"{told.cause} (other time)"
            elif told is not None and told.cause in scenario.cause:
                it.told = f"{told.cause} (other side)"
        strongest = max((CERTAINTIES.index(row.certainty) for row in expected), default=-1)
        it.strong = it.right and strongest >= CERTAINTIES.index(scenario.certainty)
    false = claims_false(scenario, others, busy, truth, strained)
    it.claims = [(row.cause, row.side, row.certainty, row not in false) for row in expected + others if row.cause != "unknown"]
    for cause, certainty in scenario.never:
        broken = [row for row in rows if row.cause == cause and CERTAINTIES.index(row.certainty) >= CERTAINTIES.index(certainty)]
        it.claims += [(row.cause, row.side, row.certainty, False) for row in broken]
        if broken:
            it.right = it.strong = False
            it.told = cause
    if not it.right or not it.strong or any(not true for *_, true in it.claims):
        it.note = (f"true {truth.lost * 1e3:.0f} ms; told " + (", ".join(
            f"{row.cause} {row.side} {row.certainty} {row.times}x {row.lost * 1e3:.0f} ms" for row in rows) or "nothing"))
    return it


def claims_false(scenario, others, busy, truth, strained):
    """Of rows that are not the expected: those that claim what is not so."""
    allowed = {"unknown", "client_think", *scenario.also}
    if not scenario.cause:
        allowed.add("think")
    return [row for row in others if row.cause not in allowed
            and not ((busy or strained) and row.cause in BUSY and row.lost <= max(0.3, truth.lost))]
