from __future__ import annotations

import numpy as np
import pytest

from vedette_edge.drift.features import margin, picture_statistics, score_bins


def test_probabilities_fall_into_bins_of_equal_width_and_the_last_one_is_closed():
    assert score_bins(np.float32([0.0, 0.05, 0.1, 0.99, 1.0])).tolist() == [0, 0, 1, 9, 9]
    assert score_bins(np.float32([0.49, 0.5]), 2).tolist() == [0, 1]


def test_brightness_and_contrast_are_of_the_mean_over_the_channels():
    image = np.zeros((10, 10, 3), np.uint8)
    assert picture_statistics(image) == (0.0, 0.0)
    image[:5] = (255, 255, 255)
    assert picture_statistics(image) == pytest.approx((0.5, 0.5))
    assert picture_statistics(image[..., ::-1]) == picture_statistics(image)


@pytest.mark.parametrize(
    ("probabilities", "expected"), [([0.1, 0.7, 0.2], 0.5), ([0.5, 0.5], 0.0), ([0.5], 0.0), ([0.05], 0.9)]
)
def test_the_margin_says_how_sure_a_verdict_is(probabilities, expected):
    assert margin(np.float32(probabilities)) == pytest.approx(expected)
