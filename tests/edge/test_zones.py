from __future__ import annotations

import cv2
import numpy as np
import pytest
from edge_helpers import input_spec
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.manifest import Cells, OutputSpec
from vedette_edge.types import Box
from vedette_edge.zones import Zones, area, cell_areas, crosses_itself

WHOLE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
LETTER_C = ((0.0, 0.0), (1.0, 0.0), (1.0, 0.2), (0.2, 0.2), (0.2, 0.8), (1.0, 0.8), (1.0, 1.0), (0.0, 1.0))
OUTPUTS = OutputSpec(logits=(2,), heatmap=(2, 1, 4, 4))

unit = st.floats(0, 1)
triangles = st.tuples(*[st.tuples(unit, unit)] * 3)
# Corners at rising angles around a centre: an outline with dents whose edges never cross.
stars = st.lists(st.floats(0.05, 0.5), min_size=3, max_size=12).map(
    lambda radii: tuple(
        (0.5 + r * float(np.cos(angle)), 0.5 + r * float(np.sin(angle)))
        for r, angle in zip(radii, np.linspace(0, 2 * np.pi, len(radii), endpoint=False), strict=True)
    )
)
grids = st.builds(Box, st.floats(-0.5, 0.0), st.floats(-0.5, 0.0), st.floats(1.5, 2.0), st.floats(1.5, 2.0))


def heatmap(*hot, shape=(4, 4)):
    """Return evidence for class 1 in some cells (row, column), and none for class 0."""
    values = np.full((2, 1, *shape), -3.0, np.float32)
    for row, column in hot:
        values[1, 0, row, column] = 2.0
    return values


def shares(zones, evidence, width=64, height=64, outputs=OUTPUTS, **spec):
    return Zones(zones, input_spec(**spec), outputs).shares(evidence, 1, width, height)


@given(stars, grids, st.integers(1, 6), st.integers(1, 6))
def test_the_cells_of_a_grid_share_a_polygon_without_loss(star, region, rows, columns):
    areas = cell_areas(star, region, rows, columns)
    assert areas.min() >= 0
    assert areas.max() <= region.w * region.h / rows / columns + 1e-9
    assert areas.sum() == pytest.approx(area(star), abs=1e-9)


@given(triangles)
def test_the_area_of_a_triangle_is_herons(corners):
    a, b, c = (np.hypot(*np.subtract(corners[i], corners[i - 1])) for i in range(3))
    half = (a + b + c) / 2
    heron = np.sqrt(max(0.0, half * (half - a) * (half - b) * (half - c)))
    assert area(corners) == pytest.approx(heron, abs=1e-6)


@given(stars)
def test_a_drawn_polygon_has_the_same_cells(star):
    side = 512
    drawn = np.zeros((side, side), np.uint8)
    cv2.fillPoly(drawn, [np.round(np.array(star) * side * 256 - 128).astype(np.int32)], 1, shift=8)
    counted = drawn.reshape(4, side // 4, 4, side // 4).mean(axis=(1, 3)) / 16
    # Pixels on the outline are drawn whole.
    assert cell_areas(star, Box(0, 0, 1, 1), 4, 4) == pytest.approx(counted, abs=3e-3)


def test_a_dent_is_no_part_of_a_polygon():
    assert area(LETTER_C) == pytest.approx(0.52)
    areas = cell_areas(LETTER_C, Box(0, 0, 1, 1), 5, 5)
    assert areas[2] == pytest.approx([0.04, 0, 0, 0, 0])


def test_the_share_is_that_of_the_cells_in_the_zone():
    zones = {"left": LEFT, "whole": WHOLE}
    assert shares(zones, heatmap((0, 0), (3, 1), (2, 2), (2, 3))) == pytest.approx(
        {"left": 0.5, "whole": 1.0}
    )
    assert shares(zones, heatmap((0, 0))) == pytest.approx({"left": 1.0, "whole": 1.0})


def test_a_cell_counts_by_the_part_that_lies_in_the_zone():
    slice_of_a_cell = ((0.0, 0.0), (0.1, 0.0), (0.1, 0.25), (0.0, 0.25))
    assert shares({"slice": slice_of_a_cell}, heatmap((0, 0))) == pytest.approx({"slice": 0.4})


def test_where_nothing_speaks_for_the_class_no_zone_holds_anything():
    assert shares({"whole": WHOLE}, heatmap()) == {"whole": 0.0}


def test_without_zones_there_is_nothing_to_tell():
    assert shares({}, heatmap((0, 0))) == {}


def test_evidence_in_the_bars_of_a_letterbox_is_left_out():
    # A picture of 2:1 in a square input: bars over the first and the last row of four.
    wide = {"width": 64, "height": 32, "crop": "letterbox"}
    upper = ((0.0, 0.0), (1.0, 0.0), (1.0, 0.5), (0.0, 0.5))
    assert shares({"upper": upper}, heatmap((1, 0)), **wide) == pytest.approx({"upper": 1.0})
    assert shares({"upper": upper}, heatmap((0, 0), (1, 0), (2, 0)), **wide) == pytest.approx({"upper": 0.5})
    assert shares({"upper": upper}, heatmap((0, 0)), **wide) == {"upper": 0.0}


def test_a_centred_crop_sees_the_middle_of_the_picture():
    zones = {"left": LEFT, "edge": ((0.0, 0.0), (0.25, 0.0), (0.25, 1.0), (0.0, 1.0))}
    found = shares(zones, heatmap((0, 0)), width=64, height=32, crop="center")
    assert found == pytest.approx({"left": 1.0, "edge": 0.0})


def test_cells_lie_where_the_manifest_says():
    # Centres at pixels 0.5, 8.5, 16.5, 24.5 of 32: the first cell reaches from -3.5 to 4.5.
    outputs = OUTPUTS.model_copy(update={"cells": Cells(stride=8, first=0.5)})
    strip = ((0.0, 0.0), (4.5 / 32, 0.0), (4.5 / 32, 1.0), (0.0, 1.0))
    assert shares({"strip": strip}, heatmap((1, 0), (1, 1)), outputs=outputs)["strip"] == pytest.approx(
        4.5 / 12.5
    )


def test_pictures_of_another_size_are_measured_anew():
    zones = Zones({"left": LEFT}, input_spec(crop="letterbox"), OUTPUTS)
    evidence = heatmap((0, 0), (1, 3))
    assert zones.shares(evidence, 1, 64, 64) == pytest.approx({"left": 0.5})
    assert zones.shares(evidence, 1, 64, 32) == pytest.approx({"left": 0.0})


@given(stars)
def test_an_outline_around_a_centre_does_not_cross_itself(star):
    assert not crosses_itself(star)


@pytest.mark.parametrize(
    "corners",
    [
        ((0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0)),
        ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.0), (0.0, 1.0)),
    ],
    ids=["crossing", "touching"],
)
def test_edges_that_cross_or_touch_are_found(corners):
    assert crosses_itself(corners)


def test_a_triangle_cannot_cross_itself():
    assert not crosses_itself(((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)))
