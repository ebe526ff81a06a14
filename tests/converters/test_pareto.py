"""Which candidates are worth a look, and which one is recommended."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_converters.pareto import Budget, Candidate, dominates, front, nearest, recommend

# Few values, so that ties are common.
CANDIDATES = st.lists(
    st.builds(
        Candidate,
        ratio=st.sampled_from([0.0, 0.3, 0.5]),
        variant=st.sampled_from(["a", "b", "c"]),
        accuracy=st.integers(0, 20).map(lambda right: right / 20),
        latency_ms=st.integers(1, 30).map(float),
        size_mb=st.integers(1, 10).map(float),
    ),
    min_size=1,
    max_size=12,
)
BUDGETS = st.builds(
    Budget,
    max_drop=st.integers(0, 10).map(lambda lost: lost / 20),
    latency_ms=st.integers(1, 30).map(float),
    size_mb=st.integers(1, 10).map(float),
)
ACCURACIES = st.integers(0, 20).map(lambda right: right / 20)


def keeps(one, budget, reference):
    return (
        one.latency_ms <= budget.latency_ms
        and one.size_mb <= budget.size_mb
        and reference - one.accuracy <= budget.max_drop + 1e-6
    )


@given(CANDIDATES)
def test_nobody_dominates_himself_and_two_never_dominate_each_other(candidates):
    for one in candidates:
        assert not dominates(one, one)
        assert not any(dominates(one, other) and dominates(other, one) for other in candidates)


@given(CANDIDATES)
def test_the_front_is_what_nobody_dominates_and_it_dominates_the_rest(candidates):
    found = front(candidates)
    assert not any(dominates(other, one) for one in found for other in candidates)
    for one in candidates:
        assert one in found or any(dominates(better, one) for better in found)


@given(CANDIDATES, st.randoms())
def test_the_order_of_the_candidates_does_not_matter(candidates, random):
    shuffled = candidates[:]
    random.shuffle(shuffled)
    assert front(shuffled) == front(candidates)
    assert front(front(candidates)) == front(candidates)


@given(CANDIDATES, BUDGETS, ACCURACIES)
def test_the_recommended_one_is_the_fastest_that_keeps_all_bounds_and_lies_on_the_front(
    candidates, budget, reference
):
    found = recommend(candidates, budget, reference)
    fitting = [one for one in candidates if keeps(one, budget, reference)]
    assert (found is None) == (not fitting)
    if found:
        assert found in fitting
        assert found.latency_ms == min(one.latency_ms for one in fitting)
        assert found in front(candidates)


@given(CANDIDATES, BUDGETS, ACCURACIES)
def test_what_is_missed_is_told_exactly_where_a_bound_is_missed(candidates, budget, reference):
    for one in candidates:
        assert bool(budget.missed(one, reference)) == (not keeps(one, budget, reference))


@given(CANDIDATES, BUDGETS, ACCURACIES)
def test_the_nearest_one_fits_where_any_fits(candidates, budget, reference):
    found = nearest(candidates, budget, reference)
    assert keeps(found, budget, reference) == any(keeps(one, budget, reference) for one in candidates)


def test_the_nearest_one_misses_by_little_and_it_is_said_by_how_much():
    slow = Candidate(0.0, "onnx-fp32-clip", accuracy=0.90, latency_ms=30.0, size_mb=9.0)
    near = Candidate(0.5, "onnx-int8-clip", accuracy=0.885, latency_ms=11.0, size_mb=1.5)
    budget = Budget(max_drop=0.01, latency_ms=10.0, size_mb=2.0)
    assert nearest([slow, near], budget, 0.90) is near
    assert budget.missed(near, 0.90) == [
        "loses 0.015 of accuracy, 0.005 too much",
        "takes 11.00 ms, 1.00 too much",
    ]
    assert budget.missed(slow, 0.90) == ["takes 30.00 ms, 20.00 too much", "has 9.00 MB, 7.00 too much"]


def test_a_drop_at_the_bound_is_allowed_whatever_the_arithmetic():
    one = Candidate(0.0, "a", accuracy=0.89, latency_ms=1.0, size_mb=1.0)
    assert not Budget(max_drop=0.01, latency_ms=1.0, size_mb=1.0).missed(one, 0.90)


def test_of_none_there_is_no_nearest():
    with pytest.raises(ValueError, match="empty"):
        nearest([], Budget(max_drop=0.0, latency_ms=1.0, size_mb=1.0), 1.0)
