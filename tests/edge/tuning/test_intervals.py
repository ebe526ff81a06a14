from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.tuning.intervals import rate, share

stats = pytest.importorskip("scipy.stats", reason="the reference is SciPy's")


@given(st.integers(1, 300), st.data())
def test_the_interval_of_a_share_is_wilsons(total, data):
    hits = data.draw(st.integers(0, total))
    expected = stats.binomtest(hits, total).proportion_ci(0.95, method="wilson")
    found = share(hits, total)
    assert found.value == hits / total
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(st.integers(0, 100), st.floats(0.01, 1000))
def test_the_interval_of_a_rate_is_garwoods(count, exposure):
    low = stats.chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    high = stats.chi2.ppf(0.975, 2 * count + 2) / 2
    found = rate(count, exposure)
    assert found == pytest.approx((count / exposure, low / exposure, high / exposure), rel=1e-9)


def test_of_none_the_rate_is_below_3_7():
    assert rate(0, 1.0) == pytest.approx((0.0, 0.0, -math.log(0.025)))
