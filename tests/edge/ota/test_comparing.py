from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.ota.comparing import Comparison, Said, overlap


def told(start, end, label="calm", **scores):
    return Said(start, end, label, scores or {"calm": 0.9, "fight": 0.1})


@pytest.mark.parametrize(
    ("one", "other", "share"),
    [
        ((0.0, 2.0), (0.0, 2.0), 1.0),
        ((0.0, 2.0), (1.0, 3.0), 1 / 3),
        ((0.0, 2.0), (3.0, 4.0), 0.0),
        ((0.0, 4.0), (0.0, 2.0), 0.5),
        ((5.0, 5.0), (5.0, 5.0), 1.0),
        ((5.0, 5.0), (5.2, 5.2), 0.0),
    ],
)
def test_two_stretches_overlap(one, other, share):
    assert overlap(told(*one), told(*other)) == pytest.approx(share)


def test_verdicts_on_the_same_stretch_are_compared_whoever_comes_first():
    comparison = Comparison()
    comparison.old([told(0, 2), told(1, 3)])
    comparison.new([told(0, 2), told(1, 3, "fight", calm=0.4, fight=0.6), told(2, 4)])
    comparison.old([told(2, 4)])
    assert (comparison.compared, comparison.agreed) == (3, 2)
    assert comparison.difference == pytest.approx(0.5)


def test_only_labels_that_both_know_are_compared():
    comparison = Comparison()
    comparison.old([told(0, 2, calm=0.9, fight=0.1)])
    comparison.new([told(0, 2, calm=0.7, fall=0.3)])
    assert comparison.difference == pytest.approx(0.2)
    comparison.old([told(2, 4, "x", x=1.0)])
    comparison.new([told(2, 4, "y", y=1.0)])
    assert (comparison.compared, comparison.agreed, comparison.difference) == (2, 1, pytest.approx(0.2))


def test_a_verdict_is_compared_once_and_with_the_one_next_to_it():
    comparison = Comparison()
    comparison.old([told(0, 4, "fight"), told(1, 5)])
    comparison.new([told(1, 5), told(1, 5)])
    assert (comparison.compared, comparison.agreed) == (2, 1)


def test_what_waits_for_its_counterpart_is_bounded_and_forgotten_when_the_stream_begins_anew():
    comparison = Comparison()
    comparison.old([told(index, index + 1) for index in range(1000)])
    comparison.new([told(0, 1)])
    assert comparison.compared == 0
    comparison.new([told(999, 1000)])
    assert comparison.compared == 1
    comparison.old([told(2000, 2001)])
    comparison.restart()
    comparison.new([told(2000, 2001)])
    assert comparison.compared == 1


@given(
    st.lists(
        st.tuples(st.booleans(), st.floats(0, 50), st.floats(0, 5), st.sampled_from(["a", "b"])), max_size=80
    )
)
def test_there_are_never_more_pairs_than_verdicts_of_either(steps):
    comparison = Comparison()
    for old, start, length, label in steps:
        (comparison.old if old else comparison.new)([told(start, start + length, label)])
    olds = sum(old for old, *_ in steps)
    assert comparison.agreed <= comparison.compared <= min(olds, len(steps) - olds)
    assert 0.0 <= comparison.difference <= comparison.compared
