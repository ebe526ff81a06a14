"""Figures against values worked out by hand."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from vedette_train.metrics import Interval, accuracy, confusion, macro_f1, recalls

TRUTH = [0, 0, 0, 1, 1, 2]
FOUND = [0, 0, 1, 1, 1, 0]


def wilson(hits, total):
    """[Wilson, 1927], with z for 95 %."""
    z, p = 1.959963984540054, hits / total
    middle = (p + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * np.sqrt(p * (1 - p) / total + z**2 / (4 * total**2))
    return middle - half, middle + half


@pytest.mark.parametrize(("hits", "total"), [(8, 10), (0, 5), (5, 5), (1, 1), (107, 225)])
def test_accuracy_has_the_interval_of_wilson(hits, total):
    found = accuracy([1] * total, [1] * hits + [0] * (total - hits))
    assert (found.value, found.samples) == (hits / total, total)
    assert (found.low, found.high) == pytest.approx(wilson(hits, total), abs=1e-12)


def test_an_interval_is_written_with_its_size():
    assert str(Interval(0.8, 0.49016, 0.94331, 10)) == "0.800 [0.490, 0.943], n = 10"


def test_rows_of_the_confusion_are_the_truth():
    assert confusion(TRUTH, FOUND, 4).tolist() == [[2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


def test_recall_is_the_share_of_a_class_that_was_found():
    found = recalls(TRUTH, FOUND, 4)
    assert [one.value if one else None for one in found] == [2 / 3, 1.0, 0.0, None]
    assert [one.samples if one else None for one in found] == [3, 2, 1, None]
    assert found[0].low == pytest.approx(wilson(2, 3)[0])


def test_macro_f1_is_the_mean_over_the_classes_present():
    # F1: class 0: 2*2/(3+3) = 2/3; class 1: 2*2/(2+3) = 4/5; class 2: 0.
    groups = list("aabbcc")
    assert macro_f1(TRUTH, FOUND, groups, draws=10).value == pytest.approx((2 / 3 + 4 / 5 + 0) / 3)
    assert macro_f1([0, 0], [0, 3], ["a", "b"], draws=10).value == pytest.approx(2 / 3)


def test_macro_f1_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    truth, found = rng.integers(0, 4, 60), rng.integers(0, 6, 60)
    expected = f1_score(truth, found, labels=np.unique(truth), average="macro", zero_division=0)
    assert macro_f1(truth.tolist(), found.tolist(), ["a"] * 60, draws=1).value == pytest.approx(expected)


def test_the_bootstrap_draws_groups_and_not_samples():
    # One group is all right and the other all wrong: a draw of two groups is 0, 1, or as the whole.
    truth, groups = [0, 1] * 20, ["a"] * 20 + ["b"] * 20
    found = truth[:20] + [1 - label for label in truth[20:]]
    interval = macro_f1(truth, found, groups)
    assert (interval.low, interval.value, interval.high) == (0.0, 0.5, 1.0)
    by_sample = macro_f1(truth, found, [str(number) for number in range(40)])
    assert 0.3 < by_sample.low < 0.4 < 0.6 < by_sample.high < 0.7


def test_the_same_seed_gives_the_same_interval():
    first = macro_f1(TRUTH, FOUND, list("abcdef"), draws=50, seed=4)
    assert first == macro_f1(TRUTH, FOUND, list("abcdef"), draws=50, seed=4)


def test_one_group_has_no_spread():
    interval = macro_f1(TRUTH, FOUND, ["a"] * 6, draws=5)
    assert interval.low == interval.value == interval.high
