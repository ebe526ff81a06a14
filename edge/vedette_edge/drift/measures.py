"""How far two samples are apart, from their counts in the same bins. Pure.

The population stability index is `sum((q - p) * ln(q / p))` over the shares p of the reference and q of
now: the symmetrised Kullback-Leibler divergence. Practice takes 0.1 for a small and 0.25 for a large shift
(Siddiqi, "Credit Risk Scorecards", 2006). Of small samples it is large by chance alone: where nothing has
changed, it is distributed as (1/n + 1/m) times chi-squared with bins - 1 degrees of freedom (Yurdakul and
Naranjo, "Statistical properties of the population stability index", 2020), which gives the least value that
means anything.
The Kolmogorov-Smirnov distance is the largest difference of the cumulative shares.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["chance_bound", "ks_distance", "stability_index"]

# Added to each count (Jeffreys' prior), so that an empty bin is rare, not impossible.
_PRIOR = 0.5
_NORMAL_QUANTILE = 3.0902  # of 0.999


def stability_index(reference: ArrayLike, now: ArrayLike) -> float:
    """Return the population stability index of two arrays of counts (bins,)."""
    p, q = _shares(reference), _shares(now)
    return float(((q - p) * np.log(q / p)).sum())


def chance_bound(bins: int, n: int, m: int) -> float:
    """Return what the index of samples of n and m exceeds once in 1,000 times where nothing has changed.

    The quantile is Wilson and Hilferty's, within 1 % of the exact one for 10 bins.
    """
    freedom = bins - 1
    part = 2 / (9 * freedom)
    quantile = freedom * (1 - part + _NORMAL_QUANTILE * math.sqrt(part)) ** 3
    return quantile * (1 / n + 1 / m)


def ks_distance(reference: Sequence[int], now: Sequence[int]) -> float:
    """Return the largest difference of the cumulative shares at the edges of the bins, 0..1."""
    cumulative = [np.cumsum(counts) / max(1, sum(counts)) for counts in (reference, now)]
    return float(np.abs(cumulative[0] - cumulative[1]).max())


def _shares(counts: ArrayLike) -> NDArray[np.float64]:
    smoothed = np.asarray(counts, dtype=np.float64) + _PRIOR
    return np.asarray(smoothed / smoothed.sum(), dtype=np.float64)
