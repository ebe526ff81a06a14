"""Pictures are written whole, and show what they were given."""

import cv2
import numpy as np
import pytest

from vedette_train.plots import plot_confusion, plot_curves


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
