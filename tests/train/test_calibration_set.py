"""Which clips int8 is calibrated with."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_train.calibration_set import evenly, middle_and_ends, take_turns
from vedette_train.runs import Sample


def test_labels_take_turns():
    samples = [Sample(name=name, label=name[0], group=name) for name in ("a1", "a2", "a3", "b1", "c1", "c2")]
    assert [one.name for one in take_turns(samples, 5)] == ["a1", "b1", "c1", "a2", "c2"]


@pytest.mark.parametrize(
    ("windows", "chosen"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (4, [0, 2, 3]), (9, [0, 4, 8])]
)
def test_of_a_video_the_middle_and_the_ends_are_chosen(windows, chosen):
    numbered = np.arange(windows, dtype=np.float32)[:, None]
    assert [float(one[0, 0]) for one in middle_and_ends(numbered)] == chosen


@given(st.integers(0, 200))
def test_never_more_than_32_clips_are_chosen_from_the_first_to_the_last(count):
    found = [float(clip[0]) for clip in evenly([np.full(1, index, np.float32) for index in range(count)])]
    assert len(found) == len(set(found)) == min(count, 32)
    assert found == sorted(found)
    assert count == 0 or (found[0] == 0 and (count == 1 or found[-1] == count - 1))
