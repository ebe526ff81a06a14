"""From which score on a picture is bad: fitted on scores of good pictures, with what it can promise.

All functions are pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from vedette_edge.errors import DataError
from vedette_train.anomaly.recipe import ThresholdSettings

__all__ = ["Threshold", "false_alarm_interval", "fit_threshold", "needed_pictures"]

_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold and the false alarms that it makes on the good pictures it was fitted on.

    Attributes:
        value: a score that reaches it is bad.
        rule: how it was found, for a reader.
        pictures: number of good pictures.
        alarms: how many of them reach it.
        low: lower end of the 95 % interval of the share of good pictures that reach it.
        high: upper end.
        warning: what it cannot promise, or "".
    """

    value: float
    rule: str
    pictures: int
    alarms: int
    low: float
    high: float
    warning: str


def fit_threshold(scores: Sequence[float], settings: ThresholdSettings) -> Threshold:
    """Return the threshold that a rule gives.

    Args:
        scores: of good pictures.
        settings: the rule and its numbers.

    Raises:
        DataError: when there are fewer than two scores, or one is not finite.
    """
    values = np.sort(np.asarray(scores, dtype=np.float64))
    if len(values) < 2 or not np.isfinite(values).all():
        raise DataError(
            f"a threshold needs at least two good pictures with finite scores, found {len(values)}"
        )
    if settings.rule == "mu_k_sigma":
        value, rule = values.mean() + settings.k * values.std(), f"mean + {settings.k:g} deviations"
    elif settings.rule == "quantile":
        value, rule = np.quantile(values, settings.quantile), f"quantile {settings.quantile:g}"
    else:
        allowed = math.floor(settings.max_false_alarms_per_1000 / 1000 * len(values))
        # Just above the largest score that must not alarm.
        value = np.nextafter(values[len(values) - 1 - allowed], np.inf)
        rule = f"at most {settings.max_false_alarms_per_1000:g} false alarms in 1000"
    alarms = int((values >= value).sum())
    low, high = false_alarm_interval(alarms, len(values))
    return Threshold(
        float(value), rule, len(values), alarms, low, high, _warning(settings, high, len(values))
    )


def false_alarm_interval(alarms: int, pictures: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a share [Clopper and Pearson 1934]."""
    tail = (1 - _CONFIDENCE) / 2
    low = beta.ppf(tail, alarms, pictures - alarms + 1) if alarms else 0.0
    high = beta.ppf(1 - tail, alarms + 1, pictures - alarms) if alarms < pictures else 1.0
    return float(low), float(high)


def needed_pictures(per_1000: float) -> int:
    """Return how many good pictures without one false alarm promise a rate, at 95 %.

    >>> needed_pictures(10)
    368
    """
    tail = (1 - _CONFIDENCE) / 2
    return math.ceil(math.log(tail) / math.log1p(-per_1000 / 1000))


def _warning(settings: ThresholdSettings, high: float, pictures: int) -> str:
    if settings.rule != "false_alarms" or high * 1000 <= settings.max_false_alarms_per_1000:
        return ""
    wanted = settings.max_false_alarms_per_1000
    return (
        f"{pictures} held-out good pictures cannot promise {wanted:g} false alarms in 1000: the 95 % "
        f"interval reaches {1000 * high:.0f}; that takes at least {needed_pictures(wanted)} without an alarm"
    )
