"""Is one network better than another? Paired on the videos that both judged.

McNemar's exact test looks at the videos that only one of them got right; the bootstrap draws groups, and
both networks are measured on the same draws. Both must agree before a difference is called one, because
McNemar's test takes the videos for independent, which those of one group are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

from vedette_edge.errors import DataError
from vedette_train.metrics import (
    Figure,
    Scored,
    bootstrap_weights,
    figure_functions,
    quantiles,
    scored,
)
from vedette_train.predictions import Prediction

__all__ = ["Comparison", "Difference", "McNemar", "compare", "delong", "mcnemar", "pair"]

_LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class McNemar:
    """McNemar's exact test [McNemar 1947]: are the discordant videos evenly shared?

    Attributes:
        b: videos that only the first got right.
        c: videos that only the second got right.
        n: videos that both judged; b + c <= n.
        p: two-sided, of the binomial distribution; 1 without discordant videos.
    """

    b: int
    c: int
    n: int
    p: float


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of both, and the second minus the first with its 95 % bootstrap interval over groups."""

    first: float
    second: float
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two networks on the same videos.

    Attributes:
        mcnemar: of their labels.
        differences: by figure: accuracy, auc, macro_f1 and, of two classes, f1.
        delong: two-sided p of the difference of the AUC of two classes, with videos taken for independent;
            None where it is not defined.
        groups: how many there were.
        only_first: videos that only the first judged.
        only_second: videos that only the second judged.
    """

    mcnemar: McNemar
    differences: dict[str, Difference]
    delong: float | None
    groups: int
    only_first: int
    only_second: int

    @property
    def better(self) -> int:
        """1 where the first is better, 2 where the second is, 0 where there is no evidence of either."""
        found = self.differences["accuracy"]
        if self.mcnemar.p >= _LEVEL or found.low <= 0 <= found.high:
            return 0
        return 2 if found.value > 0 else 1

    def sentence(self, first: str, second: str) -> str:
        """Say in plain words what the comparison shows.

        Args:
            first: name of the first network.
            second: name of the second.
        """
        test, found = self.mcnemar, self.differences["accuracy"]
        figures = (
            f"{found.first:.3f} and {found.second:.3f} on the same {test.n} videos of {self.groups} "
            f"groups, difference {found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]; {test.b} videos "
            f"only {first} got right, {test.c} only {second}, p = {test.p:.2g}"
        )
        if self.better:
            names = (first, second) if self.better == 1 else (second, first)
            return f"{names[0]} is right more often than {names[1]}: {figures}.{self._others()}"
        if test.p < _LEVEL:
            return (
                f"No evidence that {first} and {second} differ in accuracy: video by video they seem to, but "
                f"that rests on few groups: {figures}.{self._others()}"
            )
        return f"No evidence that {first} and {second} differ in accuracy: {figures}.{self._others()}"

    def _others(self) -> str:
        """Name the other figures whose interval does not hold 0."""
        clear = [
            f"{name.replace('_', ' ')} {one.value:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"
            for name, one in self.differences.items()
            if name != "accuracy" and not one.low <= 0 <= one.high
        ]
        return f" Clear differences otherwise: {', '.join(clear)}." if clear else ""

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self) | {"better": self.better}


def pair(
    first: Sequence[Prediction], second: Sequence[Prediction]
) -> tuple[list[Prediction], list[Prediction]]:
    """Return the predictions of the videos that both judged, in the same order.

    Every video is one pair: `n` is never more than either has.

    Raises:
        DataError: when a video has no name or is named twice, none is in both, or they disagree on a label.
    """
    by_name = [_by_name(predictions) for predictions in (first, second)]
    names = sorted(by_name[0].keys() & by_name[1].keys())
    if not names:
        raise DataError(
            "the two judged no video in common, so there is nothing to pair; evaluate both on the same split"
        )
    for name in names:
        truths = [one[name].sample.label for one in by_name]
        if truths[0] != truths[1]:
            raise DataError(f"{name} is {truths[0]} for the one and {truths[1]} for the other")
    return [by_name[0][name] for name in names], [by_name[1][name] for name in names]


def _by_name(predictions: Sequence[Prediction]) -> dict[str, Prediction]:
    found: dict[str, Prediction] = {}
    for prediction in predictions:
        name = prediction.sample.name
        if not name or name in found:
            raise DataError(
                f"video {name!r} is nameless or named twice: it would count more than once; evaluate again"
            )
        found[name] = prediction
    return found


def compare(
    first: Sequence[Prediction],
    second: Sequence[Prediction],
    labels: Sequence[str],
    positive: str | None = None,
) -> Comparison:
    """Compare two networks on the videos that both judged.

    Args:
        first: predictions of the one.
        second: predictions of the other, with the same classes.
        labels: the classes.
        positive: the class of two-class figures.

    Raises:
        DataError: as `pair`.
    """
    both = pair(first, second)
    one, other = (scored(predictions, labels, positive) for predictions in both)
    n = len(one.truth)
    return Comparison(
        mcnemar(one.found == one.truth, other.found == other.truth),
        _differences(one, other),
        _delong_of(one, other),
        int(one.groups.max()) + 1,
        len(first) - n,
        len(second) - n,
    )


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """Return the exact test of two rows of right (True) and wrong, (N,) each, of the same videos."""
    b, c = int((first & ~second).sum()), int((second & ~first).sum())
    p = float(binomtest(b, b + c).pvalue) if b + c else 1.0
    return McNemar(b, c, len(first), p)


def _differences(one: Scored, other: Scored) -> dict[str, Difference]:
    weights = bootstrap_weights(one.groups)
    functions = figure_functions(one.positive is not None)
    chosen: dict[str, Figure] = {
        name: functions[name] for name in ("auc", "macro_f1", "f1") if name in functions
    }
    chosen["accuracy"] = lambda data, rows: rows @ (data.found == data.truth) / rows.sum(axis=1)
    found = {}
    for name in ("accuracy", *sorted(chosen.keys() - {"accuracy"})):
        ones = np.ones((1, len(one.truth)))
        before, after = (float(chosen[name](data, ones)[0]) for data in (one, other))
        if np.isnan(before) or np.isnan(after):
            continue
        low, high = quantiles(chosen[name](other, weights) - chosen[name](one, weights))
        found[name] = Difference(before, after, after - before, low, high)
    return found


def _delong_of(one: Scored, other: Scored) -> float | None:
    if one.positive is None:
        return None
    positive = one.truth == one.positive
    if min(positive.sum(), (~positive).sum()) < 2:
        return None
    return delong(one.probabilities[:, one.positive], other.probabilities[:, one.positive], positive)


def delong(first: NDArray[np.float64], second: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Return the two-sided p of a difference of two AUCs on the same samples [DeLong et al. 1988].

    Args:
        first: (N,) scores of the one.
        second: (N,) scores of the other.
        positive: (N,) bool, at least two of each.
    """
    spread, areas = 0.0, []
    placed: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    for scores in (first, second):
        gap = scores[positive][:, np.newaxis] - scores[~positive]
        wins = (gap > 0) + 0.5 * (gap == 0)
        areas.append(float(wins.mean()))
        placed.append((wins.mean(axis=1), wins.mean(axis=0)))
    for before, after in zip(*placed, strict=True):
        spread += float(np.var(after - before, ddof=1)) / len(before)
    difference = areas[1] - areas[0]
    if spread == 0:
        return 1.0 if difference == 0 else 0.0
    return float(2 * norm.sf(abs(difference) / np.sqrt(spread)))
