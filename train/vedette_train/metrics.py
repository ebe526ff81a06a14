"""Figures with their uncertainty. Pure functions of labels, probabilities and groups.

Shares of counts (accuracy, precision, recall, specificity) have Wilson's interval. All others have a
percentile bootstrap over groups [Efron and Tibshirani 1993; Field and Welsh 2007]: groups, not samples, are
drawn, because samples of one group are not independent. One matrix of weights holds all draws, so that a
figure is computed for all of them at once, and two networks can be compared on the same draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix

from vedette_train.predictions import Prediction

__all__ = [
    "DRAWS",
    "Figure",
    "Interval",
    "Scored",
    "accuracy",
    "average_precision",
    "bootstrap_weights",
    "confusion",
    "figure_functions",
    "figures",
    "interval_of",
    "per_label",
    "positive_label",
    "quantiles",
    "roc_auc",
    "roc_curves",
    "scored",
    "share",
]

DRAWS = 1000
_CONFIDENCE = 0.95

Floats = NDArray[np.float64]


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


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Judged videos as arrays.

    Attributes:
        truth: (N,) int, 0..K-1.
        found: (N,) int, the most probable class.
        probabilities: (N, K).
        groups: (N,) int, 0..G-1.
        positive: the class that two-class figures are of; None where there are more classes.
    """

    truth: NDArray[np.int64]
    found: NDArray[np.int64]
    probabilities: Floats
    groups: NDArray[np.int64]
    positive: int | None

    @property
    def classes(self) -> int:
        """The number of classes, K."""
        return int(self.probabilities.shape[1])


# A figure for each row of weights (B, N): (B,), NaN where a draw lacks what it needs.
Figure = Callable[[Scored, Floats], Floats]


def positive_label(labels: Sequence[str], background: Sequence[str] = ()) -> str | None:
    """Return the class that two-class figures are of: the first that raises an alarm; None for more."""
    if len(labels) != 2:
        return None
    return next((label for label in labels if label not in background), labels[0])


def scored(predictions: Sequence[Prediction], labels: Sequence[str], positive: str | None = None) -> Scored:
    """Return predictions as arrays; `positive` names the class of two-class figures."""
    index = {label: number for number, label in enumerate(labels)}
    groups = np.unique([p.sample.group for p in predictions], return_inverse=True)[1]
    return Scored(
        np.array([index[p.sample.label] for p in predictions], np.int64),
        np.array([index[p.label] for p in predictions], np.int64),
        np.array([p.probabilities for p in predictions], np.float64).reshape(-1, len(labels)),
        groups.astype(np.int64),
        index[positive] if positive is not None else None,
    )


def accuracy(truth: Sequence[int], predicted: Sequence[int]) -> Interval:
    """Return the share of right labels, with its Wilson score interval."""
    right = int(np.sum(np.asarray(truth) == np.asarray(predicted)))
    return share(right, len(truth))


def share(hits: int, total: int) -> Interval:
    """Return hits / total with its Wilson score interval [Wilson 1927]; `total` is at least 1."""
    bounds = binomtest(hits, total).proportion_ci(_CONFIDENCE, method="wilson")
    return Interval(hits / total, float(bounds.low), float(bounds.high), total)


def confusion(truth: Sequence[int], predicted: Sequence[int], classes: int) -> NDArray[np.int64]:
    """Return counts, (classes, classes) int: rows are the truth, columns the prediction."""
    return np.asarray(confusion_matrix(truth, predicted, labels=range(classes)))


def bootstrap_weights(groups: NDArray[np.int64], draws: int = DRAWS, seed: int = 0) -> Floats:
    """Return how often each sample is in each draw of as many groups as there are: (draws, N)."""
    count = int(groups.max()) + 1
    drawn = np.random.default_rng(seed).integers(count, size=(draws, count))
    times = np.zeros((draws, count))
    np.add.at(times, (np.arange(draws)[:, np.newaxis], drawn), 1)
    return times[:, groups]


def interval_of(figure: Figure, data: Scored, weights: Floats) -> Interval | None:
    """Return a figure with its bootstrap interval; None where it is not defined on these samples."""
    value = float(figure(data, np.ones((1, len(data.truth))))[0])
    return _interval(value, figure(data, weights), len(data.truth))


def quantiles(draws: Floats) -> tuple[float, float]:
    """Return the ends of the 95 % interval of bootstrap draws; those that are NaN do not count."""
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.nanquantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def _interval(value: float, draws: Floats, samples: int) -> Interval | None:
    return None if np.isnan(value) else Interval(value, *quantiles(draws), samples)


def figure_functions(positive: bool) -> dict[str, Figure]:
    """Return the figures that have a bootstrap interval; with `positive` also those of two classes."""
    found: dict[str, Figure] = {
        "balanced_accuracy": lambda data, weights: _macro(_recalls(_counts(data, weights))),
        "macro_f1": lambda data, weights: _macro(_f1(_counts(data, weights))),
        "macro_precision": lambda data, weights: _macro(_precisions(_counts(data, weights))),
        "macro_recall": lambda data, weights: _macro(_recalls(_counts(data, weights))),
        "auc": _auc,
    }
    if positive:
        found["f1"] = lambda data, weights: _f1(_counts(data, weights))[:, data.positive]
        found["average_precision"] = _average_precision
    return found


def figures(data: Scored, weights: Floats) -> dict[str, Interval]:
    """Return all figures that are defined on these samples, by name.

    `auc` is that of the positive class, or of more than two classes the mean of each against the rest.

    Args:
        data: at least one video.
        weights: (B, N), from `bootstrap_weights`.
    """
    found = {"accuracy": accuracy(data.truth.tolist(), data.found.tolist())}
    for name, figure in figure_functions(data.positive is not None).items():
        if interval := interval_of(figure, data, weights):
            found[name] = interval
    if data.positive is not None:
        found |= _two_class_shares(data, data.positive)
    return found


def per_label(data: Scored, labels: Sequence[str], weights: Floats) -> dict[str, dict[str, Interval | None]]:
    """Return precision, recall, F1 and one-against-rest AUC of each class; None where it is not defined."""
    counts = confusion(data.truth.tolist(), data.found.tolist(), data.classes)
    samples = len(data.truth)
    f1, draws = (_f1(_counts(data, rows)) for rows in (np.ones((1, samples)), weights))
    found: dict[str, dict[str, Interval | None]] = {}
    for number, label in enumerate(labels):
        right, of_class, taken = counts[number, number], counts[number].sum(), counts[:, number].sum()
        found[label] = {
            "precision": share(int(right), int(taken)) if taken else None,
            "recall": share(int(right), int(of_class)) if of_class else None,
            "f1": _interval(float(f1[0, number]), draws[:, number], samples),
            "auc": interval_of(_auc_of(number), data, weights),
        }
    return found


def roc_auc(scores: Floats, positive: NDArray[np.bool_], weights: Floats) -> Floats:
    """Return the area under the ROC curve for each row of weights: (B,), NaN without both classes.

    That is the weighted share of pairs in which the positive sample has the higher score; ties count half
    [Hanley and McNeil 1982].

    Args:
        scores: (N,).
        positive: (N,) bool.
        weights: (B, N), not negative.
    """
    hits, misses = _by_score(scores, positive, weights)
    negatives = misses.sum(axis=1, keepdims=True)
    below = negatives - np.cumsum(misses, axis=1) + misses / 2
    with np.errstate(invalid="ignore"):
        return np.asarray((hits * below).sum(axis=1) / (hits.sum(axis=1) * negatives[:, 0]))


def roc_curves(scores: Floats, positive: NDArray[np.bool_], weights: Floats) -> tuple[Floats, Floats]:
    """Return false and true positive rates from (0, 0) to (1, 1), (D, U + 1) each, a row for each of weights.

    Rows without both classes are left out; arguments as for `roc_auc`.
    """
    hits, misses = _by_score(scores, positive, weights)
    both = (hits.sum(axis=1) > 0) & (misses.sum(axis=1) > 0)
    true, false = (np.pad(np.cumsum(counts[both], axis=1), ((0, 0), (1, 0))) for counts in (hits, misses))
    return false / false[:, -1:], true / true[:, -1:]


def average_precision(scores: Floats, positive: NDArray[np.bool_], weights: Floats) -> Floats:
    """Return the precision, averaged over the steps of recall, for each row of weights: (B,).

    Args:
        scores: (N,).
        positive: (N,) bool.
        weights: (B, N), not negative.
    """
    hits, misses = _by_score(scores, positive, weights)
    found = np.cumsum(hits, axis=1)
    precision = found / np.maximum(found + np.cumsum(misses, axis=1), 1e-12)
    with np.errstate(invalid="ignore"):
        return np.asarray((hits * precision).sum(axis=1) / hits.sum(axis=1))


def _by_score(scores: Floats, positive: NDArray[np.bool_], weights: Floats) -> tuple[Floats, Floats]:
    """Return the weight of positives and of negatives at each distinct score, highest first: (B, U) each."""
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) != 0])
    sorted_weights, is_positive = weights[:, order], positive[order]
    hits = np.add.reduceat(sorted_weights * is_positive, starts, axis=1)
    return hits, np.add.reduceat(sorted_weights * ~is_positive, starts, axis=1)


def _auc(data: Scored, weights: Floats) -> Floats:
    if data.positive is not None:
        return _auc_of(data.positive)(data, weights)
    areas = np.stack([_auc_of(number)(data, weights) for number in range(data.classes)])
    present = ~np.isnan(areas)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(present, areas, 0).sum(axis=0) / present.sum(axis=0))


def _auc_of(number: int) -> Figure:
    return lambda data, weights: roc_auc(data.probabilities[:, number], data.truth == number, weights)


def _average_precision(data: Scored, weights: Floats) -> Floats:
    assert data.positive is not None
    positive = data.truth == data.positive
    return average_precision(data.probabilities[:, data.positive], positive, weights)


def _two_class_shares(data: Scored, positive: int) -> dict[str, Interval]:
    counts = confusion(data.truth.tolist(), data.found.tolist(), 2)
    other = 1 - positive
    pairs = {
        "precision": (counts[positive, positive], counts[:, positive].sum()),
        "recall": (counts[positive, positive], counts[positive].sum()),
        "specificity": (counts[other, other], counts[other].sum()),
    }
    return {name: share(int(hits), int(total)) for name, (hits, total) in pairs.items() if total}


def _counts(data: Scored, weights: Floats) -> Floats:
    """Return a confusion matrix for each row of weights: (B, K, K)."""
    places = np.eye(data.classes**2)[data.truth * data.classes + data.found]
    return np.asarray((weights @ places).reshape(-1, data.classes, data.classes))


def _diagonal(counts: Floats) -> Floats:
    return np.asarray(counts.diagonal(axis1=1, axis2=2))


def _recalls(counts: Floats) -> Floats:
    """Return (B, K), NaN for a class without samples, so that it counts in no mean."""
    with np.errstate(invalid="ignore"):
        return np.asarray(_diagonal(counts) / counts.sum(axis=2))


def _precisions(counts: Floats) -> Floats:
    """Return (B, K), 0 for a class that was never found, NaN for one without samples."""
    found = _diagonal(counts) / np.maximum(counts.sum(axis=1), 1e-12)
    return np.where(counts.sum(axis=2) > 0, found, np.nan)


def _f1(counts: Floats) -> Floats:
    """Return 2 TP / (2 TP + FP + FN), (B, K), NaN for a class without samples."""
    samples = counts.sum(axis=2)
    with np.errstate(invalid="ignore"):
        found = 2 * _diagonal(counts) / (counts.sum(axis=1) + samples)
    return np.where(samples > 0, found, np.nan)


def _macro(values: Floats) -> Floats:
    present = ~np.isnan(values)
    return np.asarray(np.where(present, values, 0).sum(axis=1) / np.maximum(present.sum(axis=1), 1))
