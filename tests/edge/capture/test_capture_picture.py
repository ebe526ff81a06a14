from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.capture.picture import blacken, fitted_size, write_fitted


def white(height=40, width=80):
    return np.full((height, width, 3), 255, np.uint8)


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(32, 2000))
def test_a_fitted_picture_keeps_its_shape_and_never_grows(height, width, side):
    image = np.broadcast_to(np.uint8(0), (height, width, 3))
    h, w = fitted_size(image, side)
    assert 1 <= h <= height
    assert 1 <= w <= width
    assert max(h, w) <= side or (h, w) == (height, width)
    if max(height, width) > side:
        assert max(h, w) == side
        scale = side / max(height, width)
        assert abs(h - height * scale) <= 1
        assert abs(w - width * scale) <= 1


@pytest.mark.parametrize("size", [(40, 80), (20, 40), (13, 27)])
def test_a_picture_is_written_into_the_memory_that_it_is_given(size):
    out = np.zeros((*size, 3), np.uint8)
    write_fitted(white(), out)
    assert (out == 255).all()


def test_a_mask_is_black_and_the_rest_is_not():
    image = white()
    blacken(image, [[(0.25, 0.25), (0.5, 0.25), (0.5, 0.75), (0.25, 0.75)]])
    assert not image[10:31, 20:41].any()
    outside = image.copy()
    outside[10:31, 20:41] = 255
    assert (outside == 255).all()


def test_masks_that_overlap_are_black_where_they_do():
    image = white()
    square = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    blacken(image, [square, square])
    assert not image.any()


def test_a_mask_over_everything_reaches_every_pixel():
    image = white(33, 57)
    blacken(image, [[[0, 0], [1, 0], [1, 1], [0, 1]]])
    assert not image.any()
