"""Figures with their uncertainty. Pure functions of labels and predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix

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
    names, members = np.unique(np.asarray(groups), return_inverse=True)
    classes = 1 + max(*truth, *predicted)
    counts = np.zeros((len(names), classes, classes), np.int64)
    np.add.at(counts, (members, np.asarray(truth), np.asarray(predicted)), 1)
    drawn = np.random.default_rng(seed).integers(len(names), size=(draws, len(names)))
    scores = [_macro_f1(counts[chosen].sum(axis=0)) for chosen in drawn]
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(scores, [tail, 1 - tail])
    return Interval(_macro_f1(counts.sum(axis=0)), float(low), float(high), len(truth))


def confusion(truth: Sequence[int], predicted: Sequence[int], classes: int) -> NDArray[np.int64]:
    """Return counts, (classes, classes) int: rows are the truth, columns the prediction."""
    return np.asarray(confusion_matrix(truth, predicted, labels=range(classes)))


def _macro_f1(counts: NDArray[np.int64]) -> float:
    """Return the mean of 2 TP / (2 TP + FP + FN) over the classes that have samples."""
    present = counts.sum(axis=1) > 0
    f1 = 2 * counts.diagonal()[present] / (counts.sum(axis=0) + counts.sum(axis=1))[present]
    return float(f1.mean())


def _share(hits: int, total: int) -> Interval:
    bounds = binomtest(hits, total).proportion_ci(_CONFIDENCE, method="wilson")
    return Interval(hits / total, float(bounds.low), float(bounds.high), total)
