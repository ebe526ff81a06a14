from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette_edge.privacy import Clear, Mosaic
from vedette_edge.privacy.redact import hide
from vedette_edge.types import Box

NOISE = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
MIDDLE = Box(0.25, 0.25, 0.5, 0.5)
boxes = st.builds(Box, st.floats(-1, 1.5), st.floats(-1, 1.5), st.floats(0, 2), st.floats(0, 2))


class Finder:
    """A detector that finds what it is told to, or raises it."""

    def __init__(self, *answers):
        self._answers = list(answers)

    def find(self, _):
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def colours(image):
    return len(np.unique(image.reshape(-1, 3), axis=0))


def test_only_what_is_found_is_hidden():
    shown = Mosaic(Finder([MIDDLE]), 0.0).redact(NOISE)
    assert colours(shown[30:90, 40:120]) <= 8 * 6
    outside = np.ones((120, 160), bool)
    outside[30:90, 40:120] = False
    assert (shown[outside] == NOISE[outside]).all()


def test_the_picture_given_stays_as_it_is():
    before = NOISE.copy()
    Mosaic(Finder([MIDDLE]), 0.2).redact(NOISE)
    assert (before == NOISE).all()


def test_what_lies_around_it_is_hidden_too():
    shown = Mosaic(Finder([MIDDLE]), 0.1).redact(NOISE)
    changed = np.argwhere((shown != NOISE).any(axis=2))
    assert changed.min(axis=0).tolist() == [24, 32]
    assert changed.max(axis=0).tolist() == [95, 127]


def test_where_nothing_is_found_nothing_is_hidden():
    assert (Mosaic(Finder([]), 0.2).redact(NOISE) == NOISE).all()
    assert Clear().redact(NOISE) is NOISE


def test_a_detector_that_fails_hides_the_whole_picture_and_is_one_line(caplog):
    redactor = Mosaic(Finder(RuntimeError("no memory"), MemoryError(), [], RuntimeError("again")), 0.1)
    with caplog.at_level(logging.ERROR):
        assert colours(redactor.redact(NOISE)) <= 8 * 6
        assert colours(redactor.redact(NOISE)) <= 8 * 6
        assert len(caplog.records) == 1
        assert "no memory" in caplog.text
        assert (redactor.redact(NOISE) == NOISE).all()
        assert colours(redactor.redact(NOISE)) <= 8 * 6
    assert len(caplog.records) == 2


def test_what_a_detector_tells_that_is_no_place_hides_the_whole_picture():
    nowhere = Box(float("nan"), 0.0, 0.5, 0.5)
    assert colours(Mosaic(Finder([nowhere]), 0.1).redact(NOISE)) <= 8 * 6


@settings(max_examples=100, deadline=None)
@given(st.lists(boxes, max_size=6))
def test_boxes_may_lie_anywhere_and_all_they_cover_is_coarse(found):
    shown = hide(NOISE, found)
    assert shown.shape == NOISE.shape
    inside = np.zeros((120, 160), bool)
    touched = inside.copy()
    for box in found:
        inside |= _between(120, box.y, box.h, 1)[:, None] & _between(160, box.x, box.w, 1)
        touched |= _between(120, box.y, box.h, -1)[:, None] & _between(160, box.x, box.w, -1)
    assert (shown[~touched] == NOISE[~touched]).all()
    if inside.sum() > 64 * 64:
        assert colours(shown[inside]) < inside.sum() / 16


def _between(pixels, start, length, margin):
    """Return which pixels lie within an interval, by at least `margin` pixels."""
    edges = np.arange(pixels)
    return (edges >= start * pixels + margin) & (edges + 1 <= (start + length) * pixels - margin)


@pytest.mark.parametrize("size", [(1, 1), (2, 200), (1080, 1920)])
def test_pictures_of_any_size_can_be_hidden(size):
    image = np.full((*size, 3), 200, np.uint8)
    assert hide(image, [Box(0, 0, 1, 1), Box(0.5, 0.5, 0.001, 0.001)]).shape == image.shape
