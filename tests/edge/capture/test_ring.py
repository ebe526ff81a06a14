from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.capture.ring import Ring, make_memory

SLOTS, BYTES = 3, 6 * 8 * 3


@pytest.fixture(scope="module")
def memory():
    descriptor = make_memory(SLOTS * BYTES)
    yield descriptor
    os.close(descriptor)


def test_what_one_side_writes_the_other_reads(memory):
    writer, reader = Ring(memory, SLOTS, write=True), Ring(memory, SLOTS, write=False)
    for slot in range(SLOTS):
        writer.view(slot, 6, 8)[...] = slot + 1
    for slot in range(SLOTS):
        assert (reader.view(slot, 6, 8) == slot + 1).all()


def test_a_smaller_picture_leaves_the_rest_of_its_slot_and_the_others_alone(memory):
    ring = Ring(memory, SLOTS, write=True)
    for slot in range(SLOTS):
        ring.view(slot, 6, 8)[...] = 7
    ring.view(1, 2, 2)[...] = 9
    assert [int(np.sum(ring.view(slot, 6, 8) == 9)) for slot in range(SLOTS)] == [0, 12, 0]


def test_the_reader_cannot_write(memory):
    with pytest.raises(ValueError, match="read-only"):
        Ring(memory, SLOTS, write=False).view(0, 6, 8)[...] = 1


@given(st.integers(-2, 2**32), st.integers(-1, 2**32), st.integers(-1, 2**32))
def test_a_view_never_leaves_its_slot(memory, slot, height, width):
    ring = Ring(memory, SLOTS, write=False)
    if 0 <= slot < SLOTS and height > 0 and width > 0 and height * width * 3 <= BYTES:
        assert ring.view(slot, height, width).shape == (height, width, 3)
    else:
        with pytest.raises(ValueError, match="no room"):
            ring.view(slot, height, width)


def test_no_side_can_pull_the_memory_from_under_the_other(memory):
    with pytest.raises(PermissionError):
        os.ftruncate(memory, 1)
