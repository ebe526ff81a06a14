from __future__ import annotations

import numpy as np
import pytest

from vedette_edge.heatmap import class_map, hot_box, overlay, peak
from vedette_edge.types import Box

WHOLE = Box(0.0, 0.0, 1.0, 1.0)
GREY = np.full((120, 160, 3), 90, np.uint8)


def spot(row, column, size=8):
    evidence = np.zeros((size, size), np.float32)
    evidence[row, column] = 1.0
    return evidence


def test_the_class_map_is_the_positive_evidence_scaled_to_one():
    heatmap = np.zeros((2, 2, 2, 2), np.float32)
    heatmap[1, :, 0, 0] = (2.0, 6.0)
    heatmap[1, :, 0, 1] = (2.0, 2.0)
    heatmap[1, :, 1, 1] = -5.0
    np.testing.assert_allclose(class_map(heatmap, 1), [[1.0, 0.5], [0.0, 0.0]])


def test_no_evidence_is_an_empty_map():
    assert not class_map(np.full((1, 1, 3, 3), -1.0, np.float32), 0).any()


def test_the_peak_is_the_centre_of_the_strongest_cell():
    assert peak(spot(1, 6), WHOLE) == pytest.approx((6.5 / 8, 1.5 / 8))


def test_the_peak_leans_towards_a_strong_neighbour():
    x, y = peak(spot(4, 4) + 0.5 * spot(4, 5), WHOLE)
    assert 4.5 / 8 < x < 5.0 / 8
    assert y == pytest.approx(4.5 / 8)


def test_the_peak_lies_where_the_network_looked():
    assert peak(spot(0, 7), Box(0.25, 0.0, 0.5, 1.0)) == pytest.approx((0.25 + 0.5 * 7.5 / 8, 0.5 / 8))


def test_a_peak_in_a_letterbox_bar_is_moved_to_the_pictures_edge():
    assert peak(spot(0, 0), Box(0.0, -0.5, 1.0, 2.0))[1] == 0.0


def test_the_hot_box_holds_the_peak_and_not_a_second_spot():
    evidence = spot(1, 1) + 0.9 * spot(6, 6)
    box = hot_box(evidence, WHOLE)
    assert box.contains(*peak(evidence, WHOLE))
    assert not box.contains(6.5 / 8, 6.5 / 8)
    assert box.w < 0.3
    assert box.h < 0.3


def test_the_overlay_warms_the_peak_and_leaves_the_rest():
    shown = overlay(GREY, spot(4, 4), WHOLE).astype(int)
    assert np.abs(shown[67, 90] - 90).max() > 40
    assert np.abs(shown[:20, :20] - 90).max() <= 3
    assert (shown.shape, GREY.max()) == (GREY.shape, 90)


def test_outside_the_seen_region_the_picture_keeps_its_colours():
    shown = overlay(GREY, np.ones((4, 4), np.float32), Box(0.25, 0.0, 0.5, 1.0))
    assert (shown[:, :38] == 90).all()
    assert (shown[:, 122:] == 90).all()
    assert (shown[:, 60:100] != 90).any()
