from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.gate import Preroll
from vedette_edge.types import Frame

BYTES = 2 * 2 * 3


def frame(time):
    return Frame(np.zeros((2, 2, 3), np.uint8), time)


def filled(times, seconds=2.0, max_frames=1000, least=1):
    preroll = Preroll(seconds, max_frames * BYTES, least)
    for time in times:
        preroll.push(frame(time))
    return preroll


def times(preroll):
    return [one.time for one in preroll.take()]


def test_frames_of_the_last_seconds_are_kept_in_order():
    assert times(filled(range(10), seconds=3)) == [6, 7, 8, 9]


def test_what_was_taken_is_gone():
    preroll = filled([0.0, 0.1])
    assert times(preroll) == [0.0, 0.1]
    assert times(preroll) == []
    assert preroll.bytes == 0


def test_without_seconds_the_frames_that_confirm_are_still_kept():
    assert times(filled([0.0, 0.1, 0.2], seconds=0, least=2)) == [0.1, 0.2]


def test_where_memory_is_short_frames_are_further_apart_but_reach_as_far_back():
    found = times(filled([number / 25 for number in range(250)], seconds=2.0, max_frames=15))
    assert len(found) <= 15
    assert found[-1] == 249 / 25
    assert found[-1] - found[0] > 1.6
    assert max(np.diff(found)) < 0.5


def test_frames_are_never_so_far_apart_that_a_judge_sees_a_gap():
    found = times(filled([number / 25 for number in range(250)], seconds=5.0, max_frames=3))
    assert len(found) <= 3
    assert max(np.diff(found)) <= 0.5


@given(
    st.lists(st.floats(0.01, 1.0), max_size=60),
    st.floats(0, 10),
    st.integers(1, 12),
    st.integers(1, 4),
)
def test_the_bounds_hold_whatever_comes(steps, seconds, max_frames, least):
    preroll = Preroll(seconds, max_frames * BYTES, least)
    time = 0.0
    for step in steps:
        time += step
        preroll.push(frame(time))
        assert preroll.bytes <= max(max_frames, least) * BYTES
    found = times(preroll)
    assert found == sorted(found)
    assert not steps or found[-1] == time
    assert all(time - one <= seconds for one in found[:-least])
