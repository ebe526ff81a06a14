from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.backoff import backoff


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_the_wait_is_a_random_part_of_a_bound_that_doubles_to_a_minute(attempt, fraction):
    bound = min(60.0, 2.0 ** min(attempt, 20))
    assert backoff(attempt, fraction) == pytest.approx(fraction * bound)


@given(st.integers(0, 100), st.floats(0.1, 60))
def test_no_wait_is_longer_than_asked(attempt, most):
    assert backoff(attempt, 1.0, most) <= most
