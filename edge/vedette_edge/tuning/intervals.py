"""95 % confidence intervals of shares and rates, without SciPy, which a device does not have."""

from __future__ import annotations

import math
from typing import NamedTuple

__all__ = ["Interval", "rate", "share"]

_Z = 1.959963984540054  # of the normal distribution, for 95 %
_TAIL = 0.025
_HALVINGS = 60  # more than a double has bits


class Interval(NamedTuple):
    """A figure, and the ends of its interval."""

    value: float
    low: float
    high: float


def share(hits: int, total: int) -> Interval:
    """Return hits / total with its score interval [Wilson 1927]; `total` is at least 1."""
    value, weight = hits / total, _Z**2 / total
    middle = (value + weight / 2) / (1 + weight)
    half = _Z * math.sqrt(value * (1 - value) / total + weight / total / 4) / (1 + weight)
    return Interval(value, max(0.0, middle - half), min(1.0, middle + half))


def rate(count: int, exposure: float) -> Interval:
    """Return count / exposure with its exact interval for events that come by chance [Garwood 1936].

    Args:
        count: of events.
        exposure: in which they came, such as hours; more than 0.
    """
    low = 0.0 if count == 0 else _mean_with(1 - _TAIL, count - 1)
    return Interval(count / exposure, low / exposure, _mean_with(_TAIL, count) / exposure)


def _mean_with(probability: float, count: int) -> float:
    """Return the mean of the Poisson distribution that gives at most `count` with a probability."""
    low, high = 0.0, 10.0 + 2.0 * count + 10.0 * math.sqrt(count)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(count, middle) > probability else (low, middle)
    return (low + high) / 2


def _at_most(count: int, mean: float) -> float:
    """Return the probability of at most `count` events where `mean` are expected."""
    logs = (n * math.log(mean) - mean - math.lgamma(n + 1) for n in range(count + 1))
    return math.fsum(map(math.exp, logs))
