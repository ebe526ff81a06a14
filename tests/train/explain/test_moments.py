"""Maps of a few windows, asked at any time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from train_helpers import input_spec

from vedette_edge.manifest import Cells
from vedette_train.explain.moments import Moments, layers_of_time
from vedette_train.explain.view import Footage, View

SPEC = input_spec()
FIRST_PIXEL, CENTRED, LAST_PIXEL = (
    Cells(stride=32, first=0.5),
    Cells(stride=8, first=4),
    Cells(stride=32, first=31.5),
)


def view(maps, shown, starts, cells=None, frames=4):
    """Return windows of `frames` frames, a second each, that begin at `starts`."""
    maps = np.asarray(maps, dtype=np.float32)
    times = np.asarray(starts)[:, np.newaxis] + np.arange(float(frames))
    probabilities = np.eye(2, dtype=np.float32)[np.asarray(shown)]
    footage = Footage(frames=20, width=64, height=48, seconds=19.0)
    return View(footage, times, probabilities, np.asarray(shown), maps, cells)


def constant(value):
    return np.full((1, 2, 2), value)


@pytest.mark.parametrize(
    ("layers", "frames", "cells", "wanted"),
    [
        (4, 4, FIRST_PIXEL, [0, 1, 2, 3]),
        (4, 4, CENTRED, [0, 1, 2, 3]),
        (2, 16, FIRST_PIXEL, [0, 8]),
        (3, 10, FIRST_PIXEL, [0, 4, 8]),
        (2, 16, CENTRED, [3.5, 11.5]),
        (2, 16, None, [3.5, 11.5]),
        (2, 16, LAST_PIXEL, [0, 8]),
        (4, 32, CENTRED, [3.5, 11.5, 19.5, 27.5]),
    ],
)
def test_layers_lie_in_time_at_the_first_frame_or_amid_those_that_were_pooled(layers, frames, cells, wanted):
    assert layers_of_time(layers, frames, cells) == pytest.approx(wanted)


def test_between_two_windows_of_one_class_their_maps_are_blended():
    moments = Moments(view([constant(1.0), constant(3.0)], [0, 0], [0.0, 4.0]), SPEC)
    strong = moments.evidence(5.5)[0, 0]  # the middle of the second window
    assert strong == pytest.approx(1.0, abs=0.01)
    for time, value in ((0.0, 1.0), (1.5, 1.0), (2.5, 1.5), (3.5, 2.0), (19.0, 3.0)):
        assert moments.evidence(time)[1, 1] == pytest.approx(value / 3 * strong, abs=0.01)


def test_between_windows_of_two_classes_the_nearer_one_counts_each_with_its_own_scale():
    moments = Moments(view([constant(1.0), constant(30.0)], [0, 1], [0.0, 4.0]), SPEC)
    assert [moments.window(time) for time in (0.0, 3.4, 3.6, 9.0)] == [0, 0, 1, 1]
    assert moments.evidence(3.4) == pytest.approx(1.0)
    assert moments.evidence(3.6) == pytest.approx(1.0)


def test_inside_a_window_the_map_moves_from_layer_to_layer():
    maps = np.zeros((1, 4, 1, 4))
    for layer in range(4):
        maps[0, layer, 0, layer] = 1.0
    moments = Moments(view(maps, [0], [10.0]), SPEC)
    assert moments.evidence(11.0)[0] == pytest.approx([0, 1, 0, 0])
    assert moments.evidence(12.25)[0] == pytest.approx([0, 0, 0.75, 0.25])
    assert moments.evidence(0.0)[0] == pytest.approx([1, 0, 0, 0])


def test_evidence_against_a_class_is_not_drawn():
    moments = Moments(view([constant(-2.0)], [0], [0.0]), SPEC)
    assert not moments.evidence(1.0).any()


def test_one_outstanding_place_does_not_hide_the_others():
    maps = np.ones((1, 1, 40, 40))
    maps[0, 0, 0, 0] = 1000.0
    assert Moments(view(maps, [0], [0.0]), SPEC).evidence(0.0)[5, 5] == pytest.approx(1.0)


def test_the_cells_lie_where_the_network_saw():
    spec = input_spec(crop="center")  # 2:1 of a 4:3 picture
    moments = Moments(view([constant(1.0)], [0], [0.0]), spec)
    assert (moments.seen.x, moments.seen.w) == (0, 1)
    assert moments.seen.h == pytest.approx(2 / 3)
    assert moments.region == moments.seen
    shifted = Moments(view([constant(1.0)], [0], [0.0], FIRST_PIXEL), spec)
    assert shifted.region.x == pytest.approx(-15.5 / 64)
    assert shifted.region.w == pytest.approx(1.0)


@given(
    st.lists(st.tuples(st.floats(-5, 5, width=32), st.integers(0, 1)), min_size=1, max_size=5),
    st.floats(-2, 30),
)
def test_evidence_is_always_between_0_and_1(windows, time):
    maps = [constant(value) for value, _ in windows]
    one = view(maps, [label for _, label in windows], np.arange(float(len(windows))) * 2)
    evidence = Moments(one, SPEC).evidence(time)
    assert evidence.dtype == np.float32
    assert ((evidence >= 0) & (evidence <= 1)).all()
