"""bench/run --self-test: the statistics and the histogram on inputs whose answers are known."""

import json
import math
import random
import subprocess

from . import slices, stats


def close(got, expected, tolerance=1e-9):
    assert abs(got - expected) <= tolerance * max(1.0, abs(expected)), f"got {got}, expected {expected}"


def check_quantiles():
    close(stats.median([3, 1, 2]), 2)
    close(stats.median([4, 1, 2, 3]), 2.5)
    close(stats.quantile([0, 10], 0.9), 9)
    close(stats.quantile([5], 0.1), 5)
    # Eleven values 95..105: mean 100, variance (11 * 11 - 1) / 12 = 10.
    close(stats.variation(range(95, 106)), math.sqrt(10) / 100)
    close(stats.geometric_mean([0.5, 2.0]), 1.0)


def check_bootstrap():
    value, low, high = stats.median_with_interval([2.0] * 20)
    assert (value, low, high) == (2.0, 2.0, 2.0), "a constant has an interval of no width"
    again = stats.median_with_interval([1.0, 2.0, 3.0, 4.0])
    assert again == stats.median_with_interval([1.0, 2.0, 3.0, 4.0]), "the same data give the same interval"
    # Coverage: the true median of 100 experiments of 21 normal draws lies in about 95 of the intervals.
    rng = random.Random(7)
    covered = 0
    for trial in range(100):
        draws = [rng.gauss(1.0, 0.1) for _ in range(21)]
        _, low, high = stats.median_with_interval(draws, resamples=400, seed=trial)
        covered += low <= 1.0 <= high
    assert 88 <= covered <= 100, f"a 95 % interval covered the truth {covered} times of 100"
    value, low, high = stats.geometric_mean_of_medians([[0.5, 0.5, 0.5], [2.0, 2.0, 2.0]])
    close(value, 1.0)
    close(low, 1.0)
    close(high, 1.0)


def check_pairs():
    """Two blocks A B B A of which one slice is dirty: three pairs count, and drift cancels out of none of them."""
    cell = slices.Cell("cell", "rate")
    for block, rates in enumerate(([100, 50, 52, 104], [110, 55, 55, 121])):
        for position, (subject, rate) in enumerate(zip("ABBA", rates)):
            dirty = "steal" if (block, position) == (1, 3) else ""
            cell.slices.append(slices.Slice("cell", subject, block, position, {"rate": rate}, dirty))
    assert cell.ratios("A", "B", "rate") == [2.0, 2.0, 2.0]
    assert cell.medians("rate")["B"] == 53.5
    assert slices.block_order(["A", "B"], "D", ["X"]) == ["A", "B", "X", "D", "B", "A"]


def check_windows():
    """10 a tenth of a second for 3 s, with a hole of 0.3 s and a burst of 20."""
    arrivals = [(round(i * 0.1 + 0.05, 3), 10) for i in range(30) if i not in (12, 13, 14)]
    arrivals.append((2.951, 20))
    least, most = stats.window_extremes(arrivals, 1.0, 0.0, 3.0)
    assert (least, most) == (70, 120), f"got {least}, {most}"
    assert stats.window_extremes([(0.5, 5)], 1.0, 0.0, 1.0) == (5, 5)


def check_histogram(weir_load):
    """Every quantile that weir-load's histogram tells lies in [true, true * 1.004]."""
    rng = random.Random(11)
    for values in (list(range(1, 1001)), [int(rng.lognormvariate(11, 2)) + 1 for _ in range(20000)], [123456789]):
        run = subprocess.run([weir_load, "histogram"], input="\n".join(map(str, values)), text=True,
                             capture_output=True, timeout=30, check=True)
        told = json.loads(run.stdout)
        assert told["count"] == len(values)
        ordered = sorted(values)
        for name, share in (("min", 0.0), ("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99_9", 0.999), ("max", 1.0)):
            rank = max(1, -(-len(ordered) * int(share * 1000) // 1000))  # ceiling
            true = ordered[rank - 1]
            got = told["latency_us"][name] * 1000
            assert true * 0.999999 <= got <= true * 1.004 + 1, f"{name}: got {got}, the true value is {true}"
        close(told["latency_us"]["mean"] * 1000, sum(values) / len(values), 1e-6)


def run(weir_load):
    checks = [check_quantiles, check_bootstrap, check_pairs, check_windows]
    for check in checks:
        check()
    print(f"statistics: {len(checks)} checks hold")
    if weir_load is None:
        print("histogram: not checked, weir-load is not built (cmake --build build/release --target weir-load)")
        return 1
    check_histogram(weir_load)
    print("histogram: quantiles within 0.4 % of the truth")
    return 0
