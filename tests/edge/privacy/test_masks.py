from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette_edge.privacy import blacken

LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
fractions = st.floats(0, 1)
triangles = st.lists(st.tuples(fractions, fractions), min_size=3, max_size=3)
sizes = st.integers(1, 80)


def white(width=64, height=48):
    return np.full((height, width, 3), 255, np.uint8)


def distances(width, height, corners):
    """Return each pixel's distance from a polygon in pixels, negative outside."""
    scaled = (np.array(corners) * (width, height)).astype(np.float32)
    return np.array(
        [
            [cv2.pointPolygonTest(scaled, (x + 0.5, y + 0.5), True) for x in range(width)]
            for y in range(height)
        ]
    )


def test_a_mask_is_black_and_the_rest_is_as_it_was():
    image = white()
    assert blacken(image, [LEFT]) is image
    assert not image[:, :33].any()
    assert (image[:, 34:] == 255).all()


def test_without_masks_nothing_changes():
    assert (blacken(white(), []) == 255).all()


def test_the_whole_picture_can_be_masked():
    assert not blacken(white(), [((0, 0), (1, 0), (1, 1), (0, 1))]).any()


@pytest.mark.parametrize("size", [(64, 48), (48, 64), (1280, 720)])
def test_masks_keep_their_place_at_any_size(size):
    image = blacken(white(*size), [LEFT, ((0.75, 0.75), (1, 0.75), (1, 1), (0.75, 1))])
    covered = (image == 0).all(axis=2).mean()
    assert 0.5 + 1 / 16 <= covered < 0.65


@settings(max_examples=60, deadline=None)
@given(width=sizes, height=sizes, corners=triangles)
def test_all_that_a_mask_covers_is_black_and_nothing_far_from_it(width, height, corners):
    image = blacken(white(width, height), [corners])
    inside = distances(width, height, corners)
    assert not image[inside > 0].any()
    assert (image[inside < -4] == 255).all()
