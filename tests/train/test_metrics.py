"""Figures against values worked out by hand, and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
    roc_curve,
)

from vedette_train.metrics import (
    Interval,
    Scored,
    accuracy,
    average_precision,
    bootstrap_weights,
    confusion,
    figure_functions,
    figures,
    interval_of,
    per_label,
    positive_label,
    roc_auc,
    roc_curves,
    scored,
)
from vedette_train.predictions import Prediction
from vedette_train.runs import Sample

TRUTH = [0, 0, 0, 1, 1, 2]
FOUND = [0, 0, 1, 1, 1, 0]


def of(truth, found, groups=None, classes=None, positive=None):
    """Judged videos whose probabilities are sure of what was found."""
    classes = classes or 1 + max(*truth, *found)
    groups = np.arange(len(truth)) if groups is None else np.unique(groups, return_inverse=True)[1]
    return Scored(np.array(truth), np.array(found), np.eye(classes)[found], groups, positive)


def macro_f1(truth, found, groups, draws=1000, seed=0):
    data = of(truth, found, groups)
    return interval_of(figure_functions(False)["macro_f1"], data, bootstrap_weights(data.groups, draws, seed))


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


def test_each_class_has_its_figures_or_none():
    data = of(TRUTH, FOUND, classes=4)
    found = per_label(data, "abcd", bootstrap_weights(data.groups, 20))

    def values(name):
        return [row[name].value if row[name] else None for row in found.values()]

    assert values("recall") == [2 / 3, 1.0, 0.0, None]
    assert values("precision") == [2 / 3, 2 / 3, None, None]
    assert values("f1") == pytest.approx([2 / 3, 4 / 5, 0.0, None])
    assert [row["recall"].samples if row["recall"] else None for row in found.values()] == [3, 2, 1, None]
    assert found["a"]["recall"].low == pytest.approx(wilson(2, 3)[0])
    assert values("auc") == pytest.approx([2 / 3, (1 + 3 / 4) / 2, 0.5, None])


def test_macro_f1_is_the_mean_over_the_classes_present():
    # F1: class 0: 2*2/(3+3) = 2/3; class 1: 2*2/(2+3) = 4/5; class 2: 0.
    groups = list("aabbcc")
    assert macro_f1(TRUTH, FOUND, groups, draws=10).value == pytest.approx((2 / 3 + 4 / 5 + 0) / 3)
    assert macro_f1([0, 0], [0, 3], ["a", "b"], draws=10).value == pytest.approx(2 / 3)


def test_macro_figures_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    truth, found = rng.integers(0, 4, 60), rng.integers(0, 6, 60)
    data = of(truth.tolist(), found.tolist(), classes=6)
    values = figures(data, bootstrap_weights(data.groups, 2))
    options = {"labels": np.unique(truth), "average": "macro", "zero_division": 0}
    assert values["macro_f1"].value == pytest.approx(f1_score(truth, found, **options))
    assert values["macro_precision"].value == pytest.approx(precision_score(truth, found, **options))
    assert values["macro_recall"].value == pytest.approx(recall_score(truth, found, **options))
    assert values["balanced_accuracy"].value == values["macro_recall"].value
    known = truth != 9
    assert values["macro_recall"].value == pytest.approx(
        np.mean([np.mean(found[known & (truth == label)] == label) for label in range(4)])
    )


def two_classes(seed=1, n=80):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, n)
    scores = np.round(np.clip(rng.normal(0.35 + 0.3 * truth, 0.25), 0, 1), 1)  # with ties
    probabilities = np.stack([scores, 1 - scores], axis=1)
    groups = rng.integers(0, 12, n)
    return Scored(1 - truth, probabilities.argmax(axis=1), probabilities, groups, 0), truth, scores


def test_two_class_figures_are_those_of_the_positive_class():
    data, truth, scores = two_classes()
    values = figures(data, bootstrap_weights(data.groups, 50))
    found = (data.found == 0).astype(int)
    wanted = {
        "accuracy": np.mean(found == truth),
        "balanced_accuracy": balanced_accuracy_score(truth, found),
        "f1": f1_score(truth, found),
        "precision": precision_score(truth, found),
        "recall": recall_score(truth, found),
        "specificity": recall_score(1 - truth, 1 - found),
        "auc": roc_auc_score(truth, scores),
        "average_precision": average_precision_score(truth, scores),
    }
    assert {name: values[name].value for name in wanted} == pytest.approx(wanted)
    assert all(one.low <= one.value <= one.high for one in values.values())


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 3)), min_size=2, max_size=30))
def test_areas_are_those_of_scikit_learn_for_any_weights_and_ties(rows):
    positive, scores, weights = (np.array(column) for column in zip(*rows, strict=True))
    row = weights[np.newaxis].astype(float)
    both = weights[positive].any() and weights[~positive].any()
    area = roc_auc(scores / 4, positive, row)[0]
    assert (
        np.isnan(area)
        if not both
        else area == pytest.approx(roc_auc_score(positive, scores, sample_weight=weights))
    )
    if weights[positive].any():
        wanted = average_precision_score(positive, scores, sample_weight=weights)
        assert average_precision(scores / 4, positive, row)[0] == pytest.approx(wanted)


def test_curves_are_those_of_scikit_learn_and_end_in_the_corners():
    data, truth, scores = two_classes()
    weights = bootstrap_weights(data.groups, 5)
    false, true = roc_curves(scores, truth == 1, weights)
    assert (false[:, 0] == 0).all()
    assert (true[:, -1] == 1).all()
    for x, y, row in zip(false, true, weights, strict=True):
        wanted_x, wanted_y, _ = roc_curve(truth, scores, sample_weight=row, drop_intermediate=False)
        grid = np.linspace(0, 1, 23) + 1e-6
        assert np.interp(grid, x, y) == pytest.approx(np.interp(grid, wanted_x, wanted_y))
    assert roc_curves(scores, truth == 1, np.zeros((3, 80)))[0].shape[0] == 0


def test_the_auc_of_more_classes_is_the_mean_of_each_against_the_rest():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 50)
    probabilities = rng.dirichlet([1, 1, 1], 50)
    data = Scored(truth, probabilities.argmax(axis=1), probabilities, np.arange(50), None)
    wanted = roc_auc_score(truth, probabilities, multi_class="ovr", average="macro")
    values = figures(data, bootstrap_weights(data.groups, 20))
    assert values["auc"].value == pytest.approx(wanted)
    assert "specificity" not in values


def test_what_is_not_defined_is_left_out():
    data = of([1, 1, 1], [1, 0, 1], positive=0)
    assert set(figures(data, bootstrap_weights(data.groups, 20))) == {
        "accuracy",
        "balanced_accuracy",
        "macro_f1",
        "macro_precision",
        "macro_recall",
        "precision",
        "specificity",
    }


def test_the_bootstrap_draws_groups_and_not_samples():
    # One group is all right and the other all wrong: a draw of two groups is 0, 1, or as the whole.
    truth, groups = [0, 1] * 20, ["a"] * 20 + ["b"] * 20
    found = truth[:20] + [1 - label for label in truth[20:]]
    interval = macro_f1(truth, found, groups)
    assert (interval.low, interval.value, interval.high) == (0.0, 0.5, 1.0)
    by_sample = macro_f1(truth, found, [str(number) for number in range(40)])
    assert 0.3 < by_sample.low < 0.4 < 0.6 < by_sample.high < 0.7


def test_every_draw_has_as_many_groups_as_there_are():
    groups = np.array([0, 0, 1, 2, 2, 2])
    weights = bootstrap_weights(groups, 30)
    assert weights.shape == (30, 6)
    assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all()
    assert (weights[:, 0] == weights[:, 1]).all()


def test_the_same_seed_gives_the_same_interval():
    first = macro_f1(TRUTH, FOUND, list("abcdef"), draws=50, seed=4)
    assert first == macro_f1(TRUTH, FOUND, list("abcdef"), draws=50, seed=4)


def test_one_group_has_no_spread():
    interval = macro_f1(TRUTH, FOUND, ["a"] * 6, draws=5)
    assert interval.low == interval.value == interval.high


@pytest.mark.parametrize(
    ("labels", "background", "positive"),
    [
        (("Fight", "NonFight"), (), "Fight"),
        (("Fight", "NonFight"), ("NonFight",), "Fight"),
        (("calm", "panic"), ("calm",), "panic"),
        (("a", "b", "c"), (), None),
        (("a", "b"), ("a", "b"), "a"),
    ],
)
def test_the_positive_class_is_the_first_that_raises_an_alarm(labels, background, positive):
    assert positive_label(labels, background) == positive


def test_predictions_become_arrays():
    rows = [("x", "b", "b", (0.25, 0.75)), ("y", "a", "b", (0.5, 0.5)), ("x", "a", "a", (1.0, 0.0))]
    predictions = [
        Prediction(Sample(name=str(number), label=truth, group=group), found, shares)
        for number, (group, truth, found, shares) in enumerate(rows)
    ]
    data = scored(predictions, ("a", "b"), "b")
    assert (data.truth.tolist(), data.found.tolist(), data.positive) == ([1, 0, 0], [1, 1, 0], 1)
    assert data.groups.tolist() == [0, 1, 0]
    assert data.probabilities.tolist() == [[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]]
