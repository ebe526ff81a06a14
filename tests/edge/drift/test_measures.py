from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.drift.measures import chance_bound, ks_distance, stability_index

counts = st.lists(st.integers(0, 200), min_size=10, max_size=10).filter(any)


def test_equal_shares_are_zero_apart():
    assert stability_index([10, 30], [1000, 3000]) == pytest.approx(0.0, abs=1e-3)
    assert ks_distance([10, 30], [1, 3]) == 0.0


def test_the_index_is_the_textbook_one_for_large_samples():
    expected = (0.2 - 0.4) * math.log(0.2 / 0.4) + (0.8 - 0.6) * math.log(0.8 / 0.6)
    assert stability_index([40_000, 60_000], [20_000, 80_000]) == pytest.approx(expected, rel=1e-3)


def test_the_distance_is_that_of_the_cumulative_shares():
    assert ks_distance([5, 5, 0, 0], [0, 5, 0, 5]) == pytest.approx(0.5)


@given(counts, counts)
def test_both_are_symmetric_and_within_their_range(first, second):
    assert stability_index(first, second) == pytest.approx(stability_index(second, first), abs=1e-12)
    assert 0 <= stability_index(first, second) < math.inf
    assert 0 <= ks_distance(first, second) <= 1


@pytest.mark.parametrize(("bins", "quantile"), [(5, 18.467), (10, 27.877), (20, 43.820)])
def test_the_bound_is_that_of_chi_squared(bins, quantile):
    """The quantiles of 0.999 are from a table."""
    assert chance_bound(bins, 1, 10**9) == pytest.approx(quantile, rel=0.02)


def test_chance_alone_rarely_passes_the_bound():
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(10) * 5)
    found = [stability_index(rng.multinomial(300, shares), rng.multinomial(500, shares)) for _ in range(2000)]
    bound = chance_bound(10, 300, 500)
    assert sum(one > bound for one in found) <= 10
    # Nor is it so high that nothing would pass it.
    assert np.quantile(found, 0.99) > 0.5 * bound
