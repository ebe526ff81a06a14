"""Figures with their uncertainty. Pure functions of labels and predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, f1_score

__all__ = ["Interval", "accuracy", "confusion", "macro_f1", "recalls"]

_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % confidence interval."""

    value: float
    low: float
    high: float
    samples: int

    def __str__(self) -> str:
        """Write it as `0.87 [0.80, 0.92], n = 124`."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}], n = {self.samples}"


def accuracy(truth: Sequence[int], predicted: Sequence[int]) -> Interval:
    """Return the share of right labels, with its Wilson score interval."""
    right = int(np.sum(np.asarray(truth) == np.asarray(predicted)))
    return _share(right, len(truth))


def recalls(truth: Sequence[int], predicted: Sequence[int], classes: int) -> list[Interval | None]:
    """Return the recall of each class with its Wilson interval; None for a class without samples."""
    matrix = confusion(truth, predicted, classes)
    return [
        _share(int(row[index]), int(row.sum())) if row.sum() else None for index, row in enumerate(matrix)
    ]


def macro_f1(
    truth: Sequence[int], predicted: Sequence[int], groups: Sequence[str], *, draws: int = 1000, seed: int = 0
) -> Interval:
    """Return the mean F1 over the classes present, with a bootstrap interval over groups.

    Groups, not samples, are drawn, because samples of one group are not independent.
    """
    y, p = np.asarray(truth), np.asarray(predicted)
    members = [np.flatnonzero(np.asarray(groups) == group) for group in sorted(set(groups))]
    rng = np.random.default_rng(seed)
    scores = []
    for _ in range(draws):
        chosen = np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        scores.append(_macro_f1(y[chosen], p[chosen]))
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(scores, [tail, 1 - tail])
    return Interval(_macro_f1(y, p), float(low), float(high), len(y))


def confusion(truth: Sequence[int], predicted: Sequence[int], classes: int) -> np.ndarray:  # type: ignore[type-arg]
    """Return counts, (classes, classes) int: rows are the truth, columns the prediction."""
    return np.asarray(confusion_matrix(truth, predicted, labels=range(classes)))


def _macro_f1(truth: object, predicted: object) -> float:
    present = np.unique(np.asarray(truth))
    return float(f1_score(truth, predicted, labels=present, average="macro", zero_division=0))


def _share(hits: int, total: int) -> Interval:
    bounds = binomtest(hits, total).proportion_ci(_CONFIDENCE, method="wilson")
    return Interval(hits / total, float(bounds.low), float(bounds.high), total)
