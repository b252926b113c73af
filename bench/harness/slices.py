"""A B B A: which slice follows which, which of them count, and when a cell is void."""

from . import stats

MAX_STEAL = 0.01  # of all CPU time of the window, taken by other guests of the host
MAX_FOREIGN = 0.05  # of all CPU time, used by processes that are not ours; ticks tell no finer
MAX_VARIATION = 0.15  # standard deviation / mean of direct's rate


class Slice:
    __slots__ = ("cell", "subject", "block", "position", "values", "dirty")

    def __init__(self, cell, subject, block, position, values, dirty):
        self.cell = cell
        self.subject = subject
        self.block = block
        self.position = position  # within the block; the pair of A at i is B's nearest, see ratios()
        self.values = values  # metric -> number
        self.dirty = dirty  # why it does not count, or ""


class Cell:
    """All slices of one cell of a row, and what follows from them."""

    def __init__(self, name, gauge_metric):
        self.name = name
        self.gauge_metric = gauge_metric  # of subject "direct"
        self.slices = []
        self.notes = []
        self.extra = {}  # figures that are not slices: system calls, memory

    @classmethod
    def from_data(cls, data, gauge_metric):
        """A cell as report.save_row stored it."""
        cell = cls(data["cell"], gauge_metric)
        metrics = data["columns"].split()[4:]
        for subject, block, position, dirty, *values in data["slices"]:
            known = {metric: value for metric, value in zip(metrics, values) if value is not None}
            cell.slices.append(Slice(cell, subject, block, position, known, dirty))
        cell.notes, cell.extra = data["notes"], data["extra"]
        return cell

    def clean(self, subject):
        return [piece for piece in self.slices if piece.subject == subject and not piece.dirty]

    def subjects(self):
        return list(dict.fromkeys(piece.subject for piece in self.slices))

    def medians(self, metric):
        """subject -> median over its clean slices that have the metric."""
        found = {}
        for subject in self.subjects():
            values = [piece.values[metric] for piece in self.clean(subject) if metric in piece.values]
            if values:
                found[subject] = stats.median(values)
        return found

    def ratios(self, left, right, metric):
        return [a / b for a, b in self.pairs(left, right, metric)]

    def pairs(self, left, right, metric):
        """Paired values (left, right). In a block A .. B B .. A the first A goes with the first B, the last
        A with the last B; a subject measured once in a block is paired with each of the other's."""
        found = []
        for block in sorted({piece.block for piece in self.slices}):
            lefts = self._in_block(left, block)
            rights = self._in_block(right, block)
            if not lefts or not rights:
                continue
            for index in range(max(len(lefts), len(rights))):
                a = lefts[min(index, len(lefts) - 1)]
                b = rights[min(index, len(rights) - 1)]
                if not a.dirty and not b.dirty and metric in a.values and b.values.get(metric):
                    found.append((a.values[metric], b.values[metric]))
        return found

    def _in_block(self, subject, block):
        pieces = [piece for piece in self.slices if piece.subject == subject and piece.block == block]
        return sorted(pieces, key=lambda piece: piece.position)

    def direct_variation(self):
        """Standard deviation / mean of direct, or None if it was measured fewer than three times."""
        metric = self.gauge_metric
        values = [piece.values[metric] for piece in self.clean("direct") if metric in piece.values]
        return stats.variation(values) if len(values) >= 3 else None

    def void_reason(self):
        variation = self.direct_variation()
        if variation is None:
            return f"{len(self.clean('direct'))} undisturbed slices of direct, three are needed"
        if variation > MAX_VARIATION:
            return f"direct varied by {variation:.0%}"
        return ""


def block_order(paired, gauge=None, once=()):
    """A B B A over `paired`, each of `once` and the gauge in the middle."""
    middle = [*once, *([gauge] if gauge else [])]
    return [*paired, *middle, *reversed(paired)]


def dirt(told, cpu_count):
    """Why the slice that weir-load tells about does not count, or ''."""
    one_tick = 0.01 / (told["seconds"] * cpu_count)  # a single tick proves nothing in a short window
    if told["steal_share"] > max(MAX_STEAL, 1.01 * one_tick):
        return f"steal {told['steal_share']:.1%}"
    ours = sum(told["cpu_ns"].values())
    foreign = (told["busy_ns"] - ours) / (told["seconds"] * 1e9 * cpu_count)
    if foreign > MAX_FOREIGN:
        return f"foreign CPU {foreign:.0%}"
    return ""


def values_of(told):
    """The figures of a slice that are kept."""
    values = {"seconds": round(told["seconds"], 4)}
    for name in ("rate", "gbit_per_s", "requests", "unfinished"):
        if name in told:
            values[name] = _short(told[name])
    for name, micros in told.get("latency_us", {}).items():
        values[f"{name}_us"] = _short(micros)
    proxy = told["cpu_ns"].get("proxy")
    if proxy:
        values["proxy_cpu"] = _short(proxy / 1e9 / told["seconds"])
        if told.get("requests"):
            values["cpu_us_per_request"] = _short(proxy / 1000 / told["requests"])
        if told.get("bytes"):
            values["cpu_us_per_mib"] = _short(proxy / 1000 / (told["bytes"] / 1048576))
        values["pss_kib"] = told["pss_kib"]["proxy"]
    if told.get("bytes"):
        values["machine_us_per_mib"] = _short(told["busy_ns"] / 1000 / (told["bytes"] / 1048576))
    load = told["cpu_ns"]["self"] + told["cpu_ns"].get("server", 0)
    values["load_cpu"] = _short(load / 1e9 / told["seconds"])
    return values


def _short(number):
    return float(f"{number:.5g}")
