"""Pictures are written whole, and show what they were given."""

import cv2
import numpy as np
import pytest

from vedette_train.calibration import Bins
from vedette_train.metrics import Interval, Scored, bootstrap_weights
from vedette_train.plots import plot_bars, plot_confusion, plot_curves, plot_reliability, plot_roc


def drawn(path):
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture


def history(epochs):
    values = np.linspace(1, 0, epochs).tolist()
    return {f"{part}_{kind}": values for part in ("train", "val") for kind in ("loss", "accuracy")}


@pytest.mark.parametrize("epochs", [0, 1, 30])
def test_curves_are_drawn_for_any_number_of_epochs(epochs, tmp_path):
    plot_curves(history(epochs), tmp_path / "curves.png")
    picture = drawn(tmp_path / "curves.png")
    assert picture.shape[1] > picture.shape[0] > 300
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


def test_curves_differ_with_their_values(tmp_path):
    plot_curves(history(3), tmp_path / "a.png")
    plot_curves(history(3) | {"val_loss": [2.0, 2.0, 2.0]}, tmp_path / "b.png")
    assert not np.array_equal(drawn(tmp_path / "a.png"), drawn(tmp_path / "b.png"))


@pytest.mark.parametrize("classes", [2, 17])
def test_a_confusion_is_drawn_for_any_number_of_classes(classes, tmp_path):
    counts = np.zeros((classes, classes), np.int64)
    counts[0, 1] = 4
    labels = [f"label {number}" for number in range(classes)]
    plot_confusion(counts, labels, "accuracy", tmp_path / "confusion.png")
    dark_blue = np.all(np.abs(drawn(tmp_path / "confusion.png").astype(int) - (107, 48, 8)) < 4, axis=2)
    # The one cell that is filled is a full row's share: the darkest colour of the scale.
    assert dark_blue.sum() > 1000 / classes


def test_without_validation_only_the_training_is_drawn(tmp_path):
    plot_curves(history(3) | {"val_loss": [], "val_accuracy": []}, tmp_path / "a.png")
    plot_curves(history(3), tmp_path / "b.png")
    assert not np.array_equal(drawn(tmp_path / "a.png"), drawn(tmp_path / "b.png"))


def scored(truth, probabilities, positive=None):
    probabilities = np.array(probabilities, float)
    truth = np.array(truth)
    return Scored(truth, probabilities.argmax(axis=1), probabilities, np.arange(len(truth)) // 2, positive)


@pytest.mark.parametrize(
    "data",
    [
        scored([0, 0, 1, 1], [[0.9, 0.1], [0.4, 0.6], [0.6, 0.4], [0.1, 0.9]], positive=0),
        scored([0, 1, 2], np.eye(3)),
        scored([0, 0], [[0.9, 0.1], [0.4, 0.6]], positive=0),  # no curve is defined
    ],
    ids=["two classes", "three", "one"],
)
def test_curves_of_scores_are_drawn_where_they_are_defined(data, tmp_path):
    labels = ["a", "b", "c"][: data.classes]
    plot_roc(data, labels, bootstrap_weights(data.groups, 50), tmp_path / "roc.png")
    assert drawn(tmp_path / "roc.png").shape[1] > 900


def test_a_reliability_diagram_shows_what_it_was_given(tmp_path):
    nothing = np.full(10, np.nan)
    empty = Bins(np.zeros(10, np.int64), nothing, nothing)
    some = Bins(np.full(10, 3), np.linspace(0.05, 0.95, 10), np.linspace(0.5, 0.6, 10))
    plot_reliability({"before": empty, "after": some}, tmp_path / "a.png")
    plot_reliability({"before": empty, "after": empty}, tmp_path / "b.png")
    assert not np.array_equal(drawn(tmp_path / "a.png"), drawn(tmp_path / "b.png"))


def test_every_run_has_its_bar(tmp_path):
    bars = {f"run {n}": Interval(0.1 * n, 0.1 * n - 0.05, 0.1 * n + 0.1, 10) for n in range(1, 9)}
    plot_bars(bars, "accuracy", tmp_path / "bars.png")
    tall = drawn(tmp_path / "bars.png").shape[0]
    plot_bars(dict(list(bars.items())[:2]), "accuracy", tmp_path / "bars.png")
    assert drawn(tmp_path / "bars.png").shape[0] < tall
