"""Medians, paired ratios and their bootstrap intervals. Pure functions; --self-test checks them."""

import bisect
import math
import random

RESAMPLES = 4000
SEED = 20240229  # fixed: the same raw data always give the same interval


def quantile(values, q):
    """Linear interpolation between order statistics (type 7, as numpy and R do by default)."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("quantile of nothing")
    place = q * (len(ordered) - 1)
    below = math.floor(place)
    above = math.ceil(place)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def median(values):
    return quantile(values, 0.5)


def window_extremes(arrivals, width, begin, end):
    """(least, most) that arrives in any window of `width` that lies in [begin, end]; arrivals: (time, amount) in
    order. The sum only changes where an arrival enters or leaves, so windows that open or close there suffice:
    most opens at an arrival, least just behind one, or either at an edge of the range."""
    times = [time for time, _ in arrivals]
    sums = [0]
    for _, amount in arrivals:
        sums.append(sums[-1] + amount)

    def within(low, high):  # low < time <= high
        return sums[bisect.bisect_right(times, high)] - sums[bisect.bisect_right(times, low)]
    opens = [begin, end - width] + [time for time in times if begin <= time <= end - width]
    if end - begin < width:
        raise ValueError("no window of that width lies between begin and end")
    just_before = 1e-9
    return (min(within(at, at + width) for at in opens),
            max(within(at - just_before, at - just_before + width) for at in opens))


def variation(values):
    """Coefficient of variation, standard deviation / mean: how much `values` vary. The void rule looks at
    this of direct."""
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / len(values)) / mean if mean else math.inf


def geometric_mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values))


def _interval(draws):
    return quantile(draws, 0.025), quantile(draws, 0.975)


def median_with_interval(values, resamples=RESAMPLES, seed=SEED):
    """(median, low, high): percentile bootstrap, 95 %."""
    if not values:
        raise ValueError("no value to take the median of")
    rng = random.Random(seed)
    draws = [median(rng.choices(values, k=len(values))) for _ in range(resamples)]
    low, high = _interval(draws)
    return median(values), low, high


def geometric_mean_of_medians(groups, resamples=RESAMPLES, seed=SEED):
    """(value, low, high) of the geometric mean of each group's median; each group is resampled by itself."""
    rng = random.Random(seed)
    draws = []
    for _ in range(resamples):
        draws.append(geometric_mean([median(rng.choices(group, k=len(group))) for group in groups]))
    low, high = _interval(draws)
    return geometric_mean([median(group) for group in groups]), low, high
