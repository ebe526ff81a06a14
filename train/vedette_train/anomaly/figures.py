"""How well a detector does: AUROC of pictures and of pixels, and the overlap per region. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label
from sklearn.metrics import roc_auc_score

from vedette_edge.types import FloatArray
from vedette_train.metrics import Interval

__all__ = ["auroc", "auroc_interval", "pixel_auroc", "pro_score"]

Mask = NDArray[np.bool_]
Doubles = NDArray[np.float64]


def auroc(bad: Sequence[bool], scores: Sequence[float]) -> float:
    """Return the area under the ROC curve: the chance that a bad picture scores above a good one."""
    return float(roc_auc_score(np.asarray(bad), np.asarray(scores)))


def auroc_interval(
    bad: Sequence[bool], scores: Sequence[float], groups: Sequence[int], *, draws: int = 2000, seed: int = 0
) -> Interval:
    """Return the AUROC with its 95 % bootstrap interval over groups, good and bad ones drawn apart.

    Groups, not pictures, are drawn, because near-duplicates are not independent.

    Args:
        bad: whether each picture is bad; both kinds occur.
        scores: of each picture.
        groups: number of each picture's near-duplicates.
        draws: of the bootstrap.
        seed: of the draws.
    """
    truth, members = np.asarray(bad, bool), np.asarray(groups)
    values = np.asarray(scores, np.float64)
    # wins[g, b]: how often bad group b's pictures score above good group g's; ties count one half.
    wins, goods = _wins(truth, values, members)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(draws):
        weight_good = np.bincount(rng.integers(len(wins), size=len(wins)), minlength=len(wins))
        weight_bad = np.bincount(rng.integers(wins.shape[1], size=wins.shape[1]), minlength=wins.shape[1])
        pairs = (weight_good @ goods[0]) * (weight_bad @ goods[1])
        drawn.append(float(weight_good @ wins @ weight_bad) / float(pairs))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(auroc(bad, scores), float(low), float(high), len(truth))


def _wins(
    truth: NDArray[np.bool_], values: Doubles, members: NDArray[np.int_]
) -> tuple[Doubles, list[Doubles]]:
    """Return wins summed by (good group, bad group), and the sizes of both kinds of groups."""
    pairs = (values[truth][np.newaxis] > values[~truth][:, np.newaxis]) + 0.5 * (
        values[truth][np.newaxis] == values[~truth][:, np.newaxis]
    )
    sizes, selectors = [], []
    for part in (~truth, truth):
        names, index = np.unique(members[part], return_inverse=True)
        selector = np.zeros((len(names), len(index)))
        selector[index, np.arange(len(index))] = 1
        selectors.append(selector)
        sizes.append(selector.sum(axis=1))
    return selectors[0] @ pairs @ selectors[1].T, sizes


def pixel_auroc(maps: Sequence[FloatArray], masks: Sequence[Mask]) -> float:
    """Return the AUROC over all pixels of all pictures.

    Args:
        maps: (H, W) each.
        masks: (H, W) bool each, True on the defect.
    """
    truth = np.concatenate([mask.ravel() for mask in masks])
    return float(roc_auc_score(truth, np.concatenate([one.ravel() for one in maps])))


def pro_score(
    maps: Sequence[FloatArray], masks: Sequence[Mask], *, max_fpr: float = 0.3, steps: int = 1000
) -> float:
    """Return the area under the per-region overlap up to a false-positive rate [Bergmann et al. 2020].

    At each threshold: the mean, over all 8-connected regions of the masks, of the share of the region that is
    found; against the share of good pixels that are found. The area is divided by `max_fpr`, so 1 is perfect.

    Args:
        maps: (H, W) each.
        masks: (H, W) bool each; at least one region in all.
        max_fpr: where the area ends.
        steps: thresholds, at quantiles of the good pixels; between them the curve is straight.
    """
    good = np.sort(np.concatenate([one[~mask] for one, mask in zip(maps, masks, strict=True)]))
    rates = np.linspace(0, max_fpr, steps + 1)
    # The threshold that lets a share `rate` of the good pixels pass.
    thresholds = good[np.clip(len(good) - 1 - np.floor(rates * len(good)).astype(int), 0, None)]
    overlaps = [
        1 - np.searchsorted(np.sort(region), thresholds, side="right") / len(region)
        for one, mask in zip(maps, masks, strict=True)
        for region in _regions(one, mask)
    ]
    mean = np.mean(overlaps, axis=0)
    return float(np.trapezoid(mean, rates) / max_fpr)


def _regions(one: FloatArray, mask: Mask) -> list[FloatArray]:
    """Return the map's values in each 8-connected region of the mask."""
    numbers, count = label(mask, structure=np.ones((3, 3)))
    return [one[numbers == number] for number in range(1, count + 1)]
