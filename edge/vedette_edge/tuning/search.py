"""Which rules are best? Tries many, and tells how good the choice is on clips that had no say in it.

1. The candidates: the given rules, and all combinations of smoothing, k of n, minimum duration and the
   ratio of the two thresholds that the clips are long enough for. Each is tried at thresholds between
   the scores at which one clip more would alarm.
2. The best finds most actions of those that keep the bound on false alarms; then has fewest false alarms,
   then the shortest mean time to alert, then is the earlier candidate. Where none keeps the bound, the best
   is that with fewest false alarms.
3. What it is worth is measured on folds: the groups are divided, and the clips of each part are judged by
   the rules that were best for all others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vedette_edge.decision import with_threshold
from vedette_edge.errors import DataError
from vedette_edge.manifest import Decision
from vedette_edge.tuning.judged import Sample
from vedette_edge.tuning.trials import Trials, critical_scores

__all__ = ["best", "candidates", "cross_validated", "folds_of", "neighbours"]

SMOOTHING = (1, 2, 4)
COUNTS = ((1, 1), (2, 3), (3, 5))
MIN_DURATIONS = (0.0, 1.0, 2.0)
RATIOS = (0.9, 0.6)
_THRESHOLDS = 24

T = TypeVar("T")
Mask = NDArray[np.bool_]


def candidates(samples: Sequence[Sample], given: Decision, labels: Mapping[str, int]) -> list[Decision]:
    """Return the rules to try, the given ones first; see rule 1.

    Args:
        samples: the clips.
        given: what does not vary is as in these.
        labels: indices of the classes that may alarm, by name.
    """
    windows = max(len(sample.judged.windows) for sample in samples)
    longest = max(sample.judged.seconds for sample in samples)
    found = {given: None}
    shapes = product(
        _with(given.smoothing, (value for value in SMOOTHING if value <= windows)),
        _with((given.k, given.n), (value for value in COUNTS if value[1] <= windows)),
    )
    min_durations = _with(given.min_duration, (value for value in MIN_DURATIONS if value <= longest))
    ratios = _with(with_threshold(given, 1.0).off_threshold, RATIOS)
    for smoothing, (k, n) in shapes:
        levels = _thresholds(samples, labels, smoothing, k, n)
        for min_duration, ratio, on in product(min_durations, ratios, levels):
            changes = {
                "smoothing": smoothing,
                "k": k,
                "n": n,
                "min_duration": min_duration,
                "on_threshold": on,
                "off_threshold": round(on * ratio, 4),
            }
            found[given.model_copy(update=changes)] = None
    return list(found)


def neighbours(samples: Sequence[Sample], decision: Decision, labels: Mapping[str, int]) -> list[Decision]:
    """Return the same rules at other thresholds, in ascending order, themselves among them."""
    levels = _thresholds(samples, labels, decision.smoothing, decision.k, decision.n)
    others = [with_threshold(decision, on) for on in levels if on != decision.on_threshold]
    return sorted([decision, *others], key=lambda one: one.on_threshold)


def best(trials: Trials, of: Mask, bound: float) -> int:
    """Return the index of the rules that are best for some of the clips; see rule 2.

    Args:
        trials: the clips under all rules.
        of: (N,) bool, the clips that have a say; some show an action, some do not.
        bound: on false alarms an hour.
    """
    delays, quiet = trials.delays[:, of], ~trials.actions[of]
    hours = float(trials.seconds[of][quiet].sum()) / 3600
    found = np.isfinite(delays)
    alarms = trials.false_alarms[:, of]
    excess = np.maximum(alarms[:, quiet].sum(axis=1) / hours - bound, 0.0)
    delay = np.where(found, delays, 0.0).sum(axis=1) / np.maximum(found.sum(axis=1), 1)
    order = np.lexsort((np.arange(len(delay)), delay, alarms.sum(axis=1), -found.sum(axis=1), excess))
    return int(order[0])


def cross_validated(trials: Trials, folds: Sequence[int], bound: float) -> NDArray[np.intp]:
    """Return, for each clip, the rules that are best for the clips of all other folds; (N,).

    Args:
        trials: the clips under all rules.
        folds: of each clip, from `folds_of`.
        bound: on false alarms an hour.
    """
    parts = np.asarray(folds)
    chosen = np.zeros(len(parts), np.intp)
    for part in np.unique(parts):
        chosen[parts == part] = best(trials, parts != part, bound)
    return chosen


def folds_of(samples: Sequence[Sample], labels: Mapping[str, int], count: int) -> list[int]:
    """Return the fold of each clip, such that groups stay whole and folds have much the same clips.

    The largest group is dealt first, each to the fold that has fewest clips like its own.

    Raises:
        DataError: when there are too few groups to leave clips with and without an action for each choice.
    """
    groups: dict[str, Counter[bool]] = {}
    for sample in samples:
        groups.setdefault(sample.clip.group, Counter())[sample.clip.label in labels] += 1
    held = [Counter[bool]() for _ in range(min(count, len(groups)))]
    fold_of: dict[str, int] = {}
    for group in sorted(groups, key=lambda name: (-groups[name].total(), name)):
        own = groups[group]
        fold = min(range(len(held)), key=lambda one: sum(held[one][kind] * own[kind] for kind in own))
        fold_of[group] = fold
        held[fold] += own
    for kind, what in ((True, "with"), (False, "without")):
        if sum(fold[kind] > 0 for fold in held) < 2:
            raise DataError(
                f"clips {what} an action lie in fewer than two parts of the groups: to choose on some and "
                "measure on others, each kind needs clips of two groups or more"
            )
    return [fold_of[sample.clip.group] for sample in samples]


def _with(first: T, others: Iterable[T]) -> list[T]:
    return list(dict.fromkeys([first, *others]))


def _thresholds(
    samples: Sequence[Sample], labels: Mapping[str, int], smoothing: int, k: int, n: int
) -> list[float]:
    """Return at most 24 thresholds between neighbouring critical scores; the last is above all of them."""
    critical = critical_scores(samples, labels, smoothing, k, n)
    scores = np.unique(np.append(critical[critical >= 0], 1.0))
    middles = (scores[1:] + scores[:-1]) / 2
    picked = np.linspace(0, len(middles) - 1, min(_THRESHOLDS, len(middles))).round().astype(int)
    return sorted({round(float(middles[index]), 4) for index in picked})
