"""Judgements become a confusion matrix, precision and recall, and a page."""

import collections

from scenario import SCENARIOS

MISSES = 2  # of a scenario that the page shows
LIMITS = {"proven and shown": 0.99, "all": 0.95}


def part(some, whole):
    return some / whole if whole else 1.0


def played(judgements):
    return [each for each in judgements if each.state == "played"]


def claims(judgements, strong):
    found = [claim for each in played(judgements) for claim in each.claims]
    return [claim for claim in found if not strong or claim[2] in ("shown", "proven")]


def scores(judgements):
    """For `proven and shown` and for all: of what was told, how much is so; of what was done, how much was told."""
    told = {}
    for name, strong in (("proven and shown", True), ("all", False)):
        made = claims(judgements, strong)
        runs = [each for each in played(judgements) if SCENARIOS[each.scenario].cause
                and (not strong or SCENARIOS[each.scenario].certainty != "likely")]
        found = [each for each in runs if (each.strong if strong else each.right)]
        told[name] = {"claims": len(made), "true": sum(claim[3] for claim in made), "runs": len(runs), "found": len(found)}
    return told


def below_limits(judgements):
    return [name for name, it in scores(judgements).items()
            if part(it["true"], it["claims"]) < LIMITS[name] or part(it["found"], it["runs"]) < LIMITS[name]] \
        or [each for each in judgements if each.state == "broken"]


def matrix(judgements):
    """Rows: what was done. Columns: what was told. A column has the number of its row."""
    cells = collections.Counter((SCENARIOS[each.scenario].expected, each.told) for each in played(judgements))
    expected = sorted({row for row, _ in cells})
    told = expected + sorted({column for _, column in cells} - set(expected))
    used = [name for name in told if any((row, name) in cells for row in expected)]
    numbers = {name: number for number, name in enumerate(told, 1)}
    lines = [" " * 42 + "".join(f"{numbers[name]:4}" for name in used)]
    for row in expected:
        lines.append(f"{numbers[row]:4} {row:37}" + "".join(f"{cells[row, name] or '.':>4}" for name in used))
    lines += [f"{numbers[name]:4} {name} (told only)" for name in told if name not in expected]
    return lines


def by_scenario(judgements):
    lines = ["| scenario | must be told | runs | right | certain enough | false claims | not provoked | broken |",
             "|---|---|---|---|---|---|---|---|"]
    groups = collections.defaultdict(list)
    for each in judgements:
        groups[each.scenario].append(each)
    for name in SCENARIOS:
        if name in groups:
            runs = played(groups[name])
            states = collections.Counter(each.state for each in groups[name])
            false = sum(not claim[3] for each in runs for claim in each.claims)
            lines.append(f"| `{name}` | {SCENARIOS[name].expected} ({SCENARIOS[name].certainty}) | {len(runs)} | "
                         f"{sum(each.right for each in runs)} | {sum(each.strong for each in runs)} | {false} | "
                         f"{states['not provoked']} | {states['broken']} |")
    return lines


def healthy(judgements):
    """False verdicts of healthy exchanges."""
    lines = []
    for busy in (False, True):
        runs = [each for each in played(judgements)
                if not SCENARIOS[each.scenario].cause and (each.busy or each.strained) == busy]
        exchanges, false = sum(each.exchanges for each in runs), sum(each.false_verdicts for each in runs)
        if exchanges:
            lines.append(f"- {'busy machine' if busy else 'CPUs to spare'}: {false} wrong verdicts of {exchanges:,} healthy exchanges "
                         f"({1e6 * false / exchanges:,.1f} in a million; the limit is 1)")
    return lines or ["- no healthy exchange was made"]


def describe(judgements, about):
    lines = ["# What `weir why` tells of causes provoked on purpose", "",
             "Written by `tests/truth/run --result`; see [README.md](README.md).", "",
             f"{about['date']}, commit {about['commit']}, kernel {about['kernel']}, {about['cpus']} CPUs, "
             f"load {about['load']}, nice {about['nice']}: {about['scenarios']} scenarios, {about['runs']} runs each, "
             f"{about['seconds']} s. {sum(each.strained for each in judgements)} runs in which processes waited for a CPU "
             "for most of the time.", "",
             "| certainty | told | of it true | precision | done | of it told | recall | limit |", "|---|---|---|---|---|---|---|---|"]
    for name, it in scores(judgements).items():
        lines.append(f"| {name} | {it['claims']} | {it['true']} | {part(it['true'], it['claims']):.3f} | {it['runs']} | "
                     f"{it['found']} | {part(it['found'], it['runs']):.3f} | {LIMITS[name]} |")
    lines += ["", f"**{'Below the limits' if below_limits(judgements) else 'Within the limits'}.**", "", "Healthy exchanges:", ""]
    lines += healthy(judgements)
    lines += ["", "## Confusion matrix", "", "Runs by what was done (rows) and what was told (columns, by the rows' numbers).",
              "", "```", *matrix(judgements), "```", "", "## By scenario", "", *by_scenario(judgements)]
    misses = collections.defaultdict(list)
    for each in sorted(judgements, key=lambda each: (list(SCENARIOS).index(each.scenario), each.run)):
        if each.note:
            misses[each.scenario].append(each)
    lines += ["", "## Misses", "", f"The first {MISSES} of each scenario; the runner prints them all.", ""]
    for name, found in misses.items():
        lines += [f"- `{name}` #{each.run}{' busy' if each.busy else ''}: "
                  + (each.told if each.state == "played" else each.state) + f"; {each.note.strip().splitlines()[-1]}"
                  for each in found[:MISSES]]
        if len(found) > MISSES:
            lines.append(f"- `{name}`: {len(found) - MISSES} more")
    return "\n".join(lines if misses else lines + ["None."]) + "\n"
