"""Medians, paired ratios and their bootstrap intervals. Pure functions; --self-test checks them."""

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
