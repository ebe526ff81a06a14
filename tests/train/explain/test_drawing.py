"""Pieces of pictures: nothing is cut off, and a moment lies where it belongs."""

import cv2
import numpy as np
import pytest

from vedette_train.explain.drawing import (
    BACKGROUND,
    GREEN,
    RED,
    WHITE,
    Text,
    banner,
    curve_strip,
    enlarged,
    even,
    letters,
    strip,
    verdict,
)

LONG = "standing_broad_jump_with_a_very_long_name"


def columns(image):
    """Return the first and the last column that is not background."""
    drawn = np.nonzero((image.astype(int) - BACKGROUND).max(axis=(0, 2)) > 20)[0]
    return drawn[0], drawn[-1]


@pytest.mark.parametrize("width", [480, 640, 1920])
@pytest.mark.parametrize("words", ["squat", LONG, "Kniebeuge für Anfänger"])
@pytest.mark.parametrize("to_right", [False, True])
def test_texts_are_never_cut_off(width, words, to_right):
    size = letters(width)
    image = strip(
        width, 2 * size, [Text("TRUE " + words), Text("PRED " + words)], size=size, to_right=to_right
    )
    assert image.shape == (2 * size, width, 3)
    left, right = columns(image)
    assert 0 < left < right < width - 1
    rows = np.nonzero((image.astype(int) - BACKGROUND).max(axis=(1, 2)) > 20)[0]
    assert 0 < rows[0] < rows[-1] < 2 * size - 1
    # Written with letters, not with boxes for unknown ones: each line of text has gaps.
    assert len(np.nonzero(np.diff((image.max(axis=(0, 2)) > BACKGROUND + 20).astype(int)))[0]) > 10


def test_the_verdict_is_green_where_it_is_right():
    assert verdict("squat", "squat", 0.876) == [Text("TRUE squat"), Text("PRED squat 0.88", GREEN)]
    assert verdict("squat", "wave", 0.5)[1] == Text("PRED wave 0.50", RED)
    assert verdict(None, "wave", 0.5) == [Text("PRED wave 0.50")]


@pytest.mark.parametrize("shown", [None, "squat", LONG])
@pytest.mark.parametrize("width", [480, 700])
def test_a_banner_is_as_wide_as_its_picture_and_even(width, shown):
    image = banner(width, verdict(LONG, LONG, 0.5), shown)
    assert image.shape[1] == width
    assert image.shape[0] % 2 == 0
    assert image.shape[0] == banner(width, []).shape[0]


def test_the_scale_runs_from_weak_to_strong():
    image = banner(600, [], "squat")
    ramp = image[image.shape[0] // 2, -70:]
    wanted = cv2.applyColorMap(np.array([[0, 255]], np.uint8), cv2.COLORMAP_TURBO)[0]
    assert (ramp == wanted[0]).all(axis=1).any()
    assert (ramp == wanted[1]).all(axis=1).any()


@pytest.mark.parametrize("count", [1, 2, 50])
def test_the_line_of_a_moment_moves_with_time(count):
    times = np.linspace(1, 9, count)
    curves = curve_strip(
        times,
        {LONG: [0.5] * count, "b": [0.2] * count},
        width=640,
        height=128,
        seconds=10.0,
        title="probability",
    )
    assert curves.image.shape == (128, 640, 3)

    def line(time):
        changed = np.nonzero((curves.at(time) != curves.image).any(axis=(0, 2)))[0]
        return changed.mean()

    places = [line(time) for time in (0.0, 5.0, 10.0)]
    assert places == pytest.approx([curves.left, (curves.left + curves.right) / 2, curves.right], abs=1.5)
    assert line(-3.0) == places[0]
    assert line(99.0) == places[2]
    assert curves.right > 250


def test_curves_of_a_single_picture_can_be_drawn():
    curves = curve_strip(
        np.zeros(1), {"a": [float("nan")]}, width=480, height=110, seconds=0.0, title="nats", top=None
    )
    assert (curves.at(0.0) == WHITE).all(axis=2).any()


def test_sides_are_made_even_and_pictures_enlarged():
    assert [even(size) for size in (1, 2, 3.9, 5)] == [2, 2, 2, 4]
    image = np.zeros((3, 5, 3), np.uint8)
    assert enlarged(image, 3).shape == (9, 15, 3)
    assert enlarged(image, 1) is image
