"""Claims, and the table as Markdown and as raw data."""

import json
from pathlib import Path

from . import stats


class Claim:
    """One sentence of the table: what is claimed, the measured figure with its interval, the outcome."""

    def __init__(self, text, limit, at_most=True, unit="x"):
        self.text = text
        self.limit = limit
        self.at_most = at_most
        self.unit = unit
        self.value = self.low = self.high = None
        self.pairs = 0
        self.void = ""
        self.note = ""

    def measured(self, value, low=None, high=None, pairs=0):
        self.value, self.low, self.high, self.pairs = value, low, high, pairs
        return self

    def voided(self, reason):
        self.void = self.void or reason
        return self

    @property
    def status(self):
        if self.void:
            return "void"
        if self.value is None:
            return "not measured"
        return "met" if (self.value <= self.limit if self.at_most else self.value >= self.limit) else "missed"

    def remark(self):
        words = [self.void] if self.void else []
        if not self.void and self.value is not None and self.low is not None and self.low < self.limit < self.high:
            words.append("the interval includes the limit")
        if self.note:
            words.append(self.note)
        return "; ".join(words)

    def figure(self):
        if self.value is None:
            return "-"
        text = number(self.value) + self.unit
        if self.low is not None and (self.low, self.high) != (self.value, self.value):
            text += f" [{number(self.low)}, {number(self.high)}]"
        return text

    def as_data(self):
        return {"claim": self.text, "limit": self.limit, "at_most": self.at_most, "value": self.value,
                "low": self.low, "high": self.high, "pairs": self.pairs, "status": self.status,
                "remark": self.remark()}


def ratio_claim(cell, text, limit, left, right, metric, wanted_pairs, at_most=True, invert=False):
    """A claim on the paired ratios of one cell; void by the cell's own rule or for want of clean pairs."""
    claim = Claim(text, limit, at_most)
    ratios = cell.ratios(left, right, metric)
    if invert:
        ratios = [1 / ratio for ratio in ratios]
    if ratios:
        claim.measured(*stats.median_with_interval(ratios), pairs=len(ratios))
    return check_validity(claim, cell, len(ratios), wanted_pairs)


def check_validity(claim, cell, pairs, wanted_pairs):
    reason = cell.void_reason()
    if reason:
        claim.voided(f"{cell.name}: {reason}")
    if 0 < pairs < wanted_pairs:
        claim.voided(f"{cell.name}: only {pairs} of {wanted_pairs} pairs were clean")
    return claim


def number(value):
    """Three significant digits, without an exponent."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.2e}"


METRICS = {  # metric -> heading of a table of medians, in this order
    "gbit_per_s": "Gbit/s",
    "rate": "per second",
    "cpu_us_per_request": "CPU us each",
    "cpu_us_per_mib": "CPU us per MiB",
    "machine_us_per_mib": "machine's us per MiB",
    "proxy_cpu": "relay busy",
    "load_cpu": "client + server busy",
    "p50_us": "p50 us",
    "p90_us": "p90 us",
    "p99_us": "p99 us",
    "p99_9_us": "p99.9 us",
    "pss_kib": "Pss KiB",
}


def cell_table(cell):
    """Medians over the clean slices of every subject."""
    columns = {metric: cell.medians(metric) for metric in METRICS}
    columns = {metric: medians for metric, medians in columns.items() if medians}
    if not columns:
        return []
    lines = [f"**{cell.name}**" + _steadiness(cell), "",
             "| subject | slices | " + " | ".join(METRICS[metric] for metric in columns) + " |",
             "|---|---:|" + "---:|" * len(columns)]
    for subject in cell.subjects():
        used = len(cell.clean(subject))
        all_of_it = sum(1 for piece in cell.slices if piece.subject == subject)
        count = str(used) if used == all_of_it else f"{used} of {all_of_it}"
        figures = [number(medians[subject]) if subject in medians else "" for medians in columns.values()]
        lines.append(f"| {subject} | {count} | " + " | ".join(figures) + " |")
    return [*lines, ""]


def _steadiness(cell):
    variation = cell.direct_variation()
    return "" if variation is None else f" (direct varied by {variation:.1%})"


def claims_table(claims):
    lines = ["| must show | limit | measured, 95 % interval | pairs | outcome | |", "|---|---:|---:|---:|---|---|"]
    for claim in claims:
        limit = ("<= " if claim.at_most else ">= ") + number(claim.limit) + claim.unit
        lines.append(f"| {claim.text} | {limit} | {claim.figure()} | {claim.pairs or ''} | **{claim.status}** | "
                     f"{claim.remark()} |")
    return [*lines, ""]


def row_markdown(result):
    lines = [f"## {result['title']}", ""]
    if result["warning"]:
        lines += [f"> {result['warning']}", ""]
    lines += result["claims_markdown"]
    lines += result["cells_markdown"]
    lines += [f"- {note}" for note in result["notes"]]
    facts = result["facts"]
    lines += ["", f"<sub>{facts['date']}, commit {facts['commit']}, {facts['weir']}; {facts['machine']}, "
                  f"Linux {facts['kernel']}; {result['setup']}.</sub>", ""]
    return lines


def save_row(folder, result, cells):
    """One JSON file a row: the facts, the claims, every slice."""
    folder.mkdir(parents=True, exist_ok=True)
    stored = dict(result)
    stored["cells"] = [_cell_data(cell) for cell in cells]
    # One slice a line: small, and a diff of two runs can be read.
    text = json.dumps(stored, indent=1)
    (folder / f"{result['row']}.json").write_text(_one_line_slices(text) + "\n")


def _cell_data(cell):
    columns = sorted({metric for piece in cell.slices for metric in piece.values})
    rows = [json.dumps([piece.subject, piece.block, piece.position, piece.dirty,
                        *[piece.values.get(metric) for metric in columns]]) for piece in cell.slices]
    return {"cell": cell.name, "direct_variation": cell.direct_variation(), "notes": cell.notes, "extra": cell.extra,
            "columns": " ".join(["subject", "block", "position", "dirty", *columns]), "slices": rows}


def _one_line_slices(text):
    """Slices were dumped as strings to stay on one line each; take the quotes off again."""
    lines = []
    for line in text.splitlines():
        stripped = line.strip().rstrip(",")
        if stripped.startswith('"[') and stripped.endswith(']"'):
            lines.append("    " + json.loads(stripped) + ("," if line.rstrip().endswith(",") else ""))
        else:
            lines.append(line)
    return "\n".join(lines)


def write_table(folder, order, quick):
    """table.md from every row there is, in the table's order, whenever each was measured."""
    results = []
    for row in order:
        path = Path(folder) / f"{row}.json"
        if path.exists():
            results.append(json.loads(path.read_text()))
    if not results:
        return None
    newest = max(results, key=lambda result: result["facts"]["date"])
    lines = ["# Weir against the others" + (" (quick run: not evidence)" if quick else ""), "",
             "Made by `bench/run`; how to read it: [../README.md](../README.md). Ratios are medians of paired "
             "ratios, in brackets their bootstrap 95 % interval.", ""]
    lines += [f"- {name}: {text}" for name, text in newest["facts"].items()]
    lines += [f"- setup: {newest['setup']}", ""]
    for result in results:
        lines += row_markdown(result)
    path = Path(folder) / "table.md"
    path.write_text("\n".join(lines))
    return path
