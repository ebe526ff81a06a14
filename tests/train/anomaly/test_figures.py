"""Figures against plain definitions of them."""

import numpy as np
import pytest
from scipy.ndimage import label

from vedette_train.anomaly.figures import auroc, auroc_interval, pixel_auroc, pro_score


def naive_pro(maps, masks, max_fpr):
    """Every threshold there is, region by region."""
    good = np.concatenate([one[~mask] for one, mask in zip(maps, masks, strict=True)])
    points = [(0.0, 0.0)]
    for threshold in sorted(set(np.concatenate([one.ravel() for one in maps])), reverse=True):
        shares = []
        for one, mask in zip(maps, masks, strict=True):
            numbers, count = label(mask, structure=np.ones((3, 3)))
            for number in range(1, count + 1):
                shares.append((one[numbers == number] >= threshold).mean())
        points.append(((good >= threshold).mean(), np.mean(shares)))
    rates, overlaps = np.array(points).T
    # Steps: the best overlap at no more than each rate.
    fine = np.linspace(0, max_fpr, 4001)
    best = [overlaps[rates <= rate + 1e-12].max() for rate in fine]
    return np.trapezoid(best, fine) / max_fpr


@pytest.fixture
def pictures():
    rng = np.random.default_rng(1)
    maps, masks = [], []
    for index in range(4):
        mask = np.zeros((24, 20), bool)
        if index:
            mask[3 : 5 + index, 4:9] = True
            mask[15:18, 12 : 14 + index] = True
        maps.append((rng.random((24, 20)) + 0.7 * mask).astype(np.float32))
        masks.append(mask)
    return maps, masks


@pytest.mark.parametrize("max_fpr", [0.05, 0.3, 1.0])
def test_pro_equals_its_definition(pictures, max_fpr):
    assert pro_score(*pictures, max_fpr=max_fpr) == pytest.approx(naive_pro(*pictures, max_fpr), abs=5e-3)


def test_a_perfect_map_has_pro_and_pixel_auroc_1(pictures):
    masks = pictures[1]
    maps = [mask.astype(np.float32) for mask in masks]
    assert pro_score(maps, masks) == pytest.approx(1.0)
    assert pixel_auroc(maps, masks) == 1.0
    assert pro_score([-one for one in maps], masks) < 0.01


def test_small_regions_count_as_much_as_large_ones():
    mask = np.zeros((30, 30), bool)
    mask[0:20, 0:20] = True
    mask[25, 25] = True
    found = np.zeros((30, 30), np.float32)
    found[25, 25] = 1.0
    assert pro_score([found], [mask]) == pytest.approx(0.5, abs=0.01)


def test_the_interval_draws_groups_and_contains_the_value():
    rng = np.random.default_rng(0)
    bad = [False] * 60 + [True] * 60
    scores = [*rng.normal(0, 1, 60), *rng.normal(1, 1, 60)]
    alone = auroc_interval(bad, scores, list(range(120)))
    assert alone.value == auroc(bad, scores)
    assert alone.low < alone.value < alone.high
    # Ten copies of each of twelve pictures say no more than the twelve.
    tenfold = auroc_interval(bad * 10, scores * 10, list(range(120)) * 10)
    assert tenfold.low == pytest.approx(alone.low, abs=0.01)
    assert tenfold.high == pytest.approx(alone.high, abs=0.01)


def test_ties_count_one_half():
    assert auroc_interval([False, True], [1.0, 1.0], [0, 1]).value == 0.5
    assert auroc([False, True, True], [0.0, 0.0, 1.0]) == 0.75
