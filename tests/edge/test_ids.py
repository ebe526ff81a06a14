from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.ids import new_ulid, ulid

moments = st.integers(0, 2**48 - 1)
randomness = st.binary(min_size=10, max_size=10)


@given(moments, moments, randomness, randomness)
def test_ulids_sort_by_time(first, second, one, other):
    if first < second:
        assert ulid(first, one) < ulid(second, other)


@given(moments, randomness, moments, randomness)
def test_ulids_differ_when_time_or_randomness_does(first, one, second, other):
    assert (ulid(first, one) == ulid(second, other)) == ((first, one) == (second, other))


def test_a_ulid_is_26_letters_of_crockfords_base_32():
    assert ulid(2**48 - 1, b"\xff" * 10) == "7" + "Z" * 25
    assert len(new_ulid()) == 26
    assert new_ulid() != new_ulid()


@pytest.mark.parametrize(
    ("milliseconds", "random"), [(-1, bytes(10)), (2**48, bytes(10)), (0, bytes(9)), (0, bytes(11))]
)
def test_values_out_of_range_are_refused(milliseconds, random):
    with pytest.raises(ValueError, match="48 bits"):
        ulid(milliseconds, random)
