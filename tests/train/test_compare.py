"""Two networks on the same videos: counted once each, and told without exaggeration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from vedette_edge.errors import DataError
from vedette_train.compare import compare, delong, mcnemar, pair
from vedette_train.predictions import Prediction
from vedette_train.runs import Sample

LABELS = ("Fight", "NonFight")


def outcome(both, b, c, neither):
    """Two rows of right and wrong."""
    first = [True] * (both + b) + [False] * (c + neither)
    second = [True] * both + [False] * b + [True] * c + [False] * neither
    return np.array(first), np.array(second)


def judged(right, groups=None, names=None):
    """Predictions of alternating truth that are right where `right` says so."""
    found = []
    for number, one in enumerate(right):
        truth = LABELS[number % 2]
        label = truth if one else LABELS[1 - number % 2]
        shares = (0.8, 0.2) if label == "Fight" else (0.2, 0.8)
        name = f"{number}.avi" if names is None else names[number]
        group = str(number if groups is None else groups[number])
        found.append(Prediction(Sample(name=name, label=truth, group=group), label, shares))
    return found


@pytest.mark.parametrize(
    ("b", "c", "p"), [(32, 28, 0.6989), (27, 27, 1.0), (0, 0, 1.0), (10, 0, 2 * 0.5**10), (1, 0, 1.0)]
)
def test_mcnemar_is_the_exact_binomial_test(b, c, p):
    found = mcnemar(*outcome(400 - b - c - 44, b, c, 44))
    assert (found.b, found.c, found.n) == (b, c, 400)
    assert found.p == pytest.approx(p, abs=1e-4)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_discordant_pairs_are_never_more_than_pairs_and_the_order_does_not_matter(rows):
    first, second = (np.array(column) for column in zip(*rows, strict=True))
    found, turned = mcnemar(first, second), mcnemar(second, first)
    assert found.b + found.c <= found.n == len(rows)
    assert 0 <= found.p <= 1
    assert (found.b, found.c, found.p) == (turned.c, turned.b, turned.p)


def test_videos_without_names_are_refused_instead_of_being_paired_each_with_each():
    # Merging 400 clips on an empty column made 80,064 pairs, and p = 1.48e-64 of nothing.
    first, second = (judged(right, names=[""] * 400) for right in outcome(296, 32, 28, 44))
    with pytest.raises(DataError, match="video '' is nameless or named twice"):
        compare(first, second, LABELS)
    named = compare(*(judged(right) for right in outcome(296, 32, 28, 44)), LABELS)
    assert named.mcnemar.n == 400
    assert named.mcnemar.p == pytest.approx(0.70, abs=0.005)
    assert named.sentence("A", "B").startswith("No evidence that A and B differ in accuracy: 0.820 and 0.810")


def test_only_what_both_judged_is_paired_whatever_the_order():
    first, second = judged([True] * 6), judged([True, False] * 4)
    one, other = pair(first[::-1], second)
    assert [p.sample.name for p in one] == [p.sample.name for p in other] == [f"{n}.avi" for n in range(6)]
    found = compare(first, second, LABELS)
    assert (found.mcnemar.n, found.only_first, found.only_second) == (6, 0, 2)


def test_what_cannot_be_paired_is_an_error():
    with pytest.raises(DataError, match="judged no video in common"):
        pair(judged([True], names=["a"]), judged([True], names=["b"]))
    with pytest.raises(DataError, match=r"a is Fight for the one and NonFight for the other"):
        pair(judged([True], names=["a"]), judged([True, True], names=["b", "a"]))


def test_the_same_predictions_differ_in_nothing():
    rows = judged([True, False, True, True] * 10)
    found = compare(rows, rows, LABELS, "Fight")
    assert set(found.differences) == {"accuracy", "auc", "f1", "macro_f1"}
    assert {(one.value, one.low, one.high) for one in found.differences.values()} == {(0, 0, 0)}
    assert (found.mcnemar.p, found.delong, found.better) == (1.0, 1.0, 0)


def test_a_difference_over_many_groups_is_told_with_its_direction():
    good, bad = judged([True] * 60), judged([True, True, False] * 20)
    found = compare(bad, good, LABELS, "Fight")
    assert (found.better, compare(good, bad, LABELS).better) == (2, 1)
    assert found.differences["accuracy"].value == pytest.approx(1 / 3)
    assert found.differences["accuracy"].low > 0
    assert found.delong < 0.05
    assert found.sentence("old", "new").startswith("new is right more often than old: ")
    assert found.to_dict()["mcnemar"]["c"] == 20


def test_a_difference_that_rests_on_one_group_is_no_evidence():
    right = [True] * 30 + [False] * 10
    groups = [n // 10 for n in range(40)]
    found = compare(judged([True] * 40, groups), judged(right, groups), LABELS)
    assert found.mcnemar.p < 0.01
    assert found.better == 0
    assert "rests on few groups" in found.sentence("A", "B")


def test_networks_that_err_alike_in_number_but_not_in_kind_are_told_apart():
    always, never = judged([True, False] * 20), judged([False, True] * 20)
    found = compare(always, never, LABELS, "Fight")
    assert (found.differences["accuracy"].value, found.better) == (0, 0)
    sentence = found.sentence("A", "B")
    assert sentence.startswith("No evidence that A and B differ in accuracy")
    assert "Clear differences otherwise: f1 -0.667 [" in sentence


def test_delong_is_calibrated_and_sees_a_difference():
    rng = np.random.default_rng(0)
    positive = np.arange(60) % 2 == 0
    trials = [delong(rng.normal(positive * 1.0), rng.normal(positive * 1.0), positive) for _ in range(400)]
    assert 0.02 < np.mean(np.array(trials) < 0.05) < 0.09
    assert delong(rng.normal(positive * 0.2), rng.normal(positive * 3.0), positive) < 0.001
    assert delong(positive * 1.0, 1 - positive * 1.0, positive) == 0.0


def test_delong_has_the_variance_of_the_published_formula():
    # Placement values written out for four positives and three negatives.
    positive = np.array([True] * 4 + [False] * 3)
    first = np.array([0.9, 0.8, 0.3, 0.6, 0.7, 0.2, 0.1])
    second = np.array([0.4, 0.9, 0.8, 0.1, 0.5, 0.3, 0.2])
    of_positives = [np.array([1, 1, 2 / 3, 2 / 3]), np.array([2 / 3, 1, 1, 0])]
    of_negatives = [np.array([0.5, 1, 1]), np.array([0.5, 0.75, 0.75])]
    s10 = np.cov(of_positives)
    s01 = np.cov(of_negatives)
    contrast = np.array([-1, 1])
    variance = contrast @ (s10 / 4 + s01 / 3) @ contrast
    z = (of_positives[1].mean() - of_positives[0].mean()) / np.sqrt(variance)
    assert delong(first, second, positive) == pytest.approx(2 * norm.sf(abs(z)))
