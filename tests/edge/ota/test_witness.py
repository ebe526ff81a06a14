from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.judges import Verdict
from vedette_edge.ota.evidence import Usual
from vedette_edge.ota.witness import Witness, patience_of, why_too_slow

USUAL = Usual(p95_ms=10.0, dropped=0.0)


def verdict(*scores):
    return Verdict(0.0, 1.0, 0.5, np.array(scores or (0.5,), np.float32), np.zeros((1, 1, 1, 1)), [])


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def watch(witness, clock, *steps):
    """Let frames come: each step is (seconds since the one before, verdicts)."""
    for seconds, verdicts in steps:
        clock.now += seconds
        witness.saw([verdict()] * verdicts)


def test_seconds_go_by_while_frames_come_and_verdicts_come_of_them():
    witness = Witness(60.0, clock := Clock())
    watch(witness, clock, *[(0.5, index % 2) for index in range(10)])
    assert (witness.seconds, witness.verdicts, witness.trouble) == (4.5, 5, "")


def test_no_time_goes_by_while_the_camera_is_away():
    witness = Witness(60.0, clock := Clock())
    watch(witness, clock, (0.0, 1), (1.0, 1), (3600.0, 1), (1.0, 1))
    assert (witness.seconds, witness.trouble) == (2.0, "")


def test_time_without_a_verdict_does_not_count_until_one_comes():
    witness = Witness(60.0, clock := Clock())
    watch(witness, clock, (0.0, 0), *[(1.0, 0)] * 30)
    assert witness.seconds == 0.0
    watch(witness, clock, (1.0, 1))
    assert witness.seconds == 31.0


def test_frames_without_a_verdict_are_a_failure_in_the_end():
    witness = Witness(60.0, clock := Clock())
    watch(witness, clock, (0.0, 1), *[(5.0, 0)] * 12)
    assert witness.trouble == ""
    watch(witness, clock, (5.0, 0))
    assert witness.trouble == "frames came for 65 s and it gave no verdict"


def test_of_a_model_that_judges_only_when_it_is_asked_no_verdict_is_expected():
    witness = Witness(None, clock := Clock())
    watch(witness, clock, (0.0, 0), *[(5.0, 0)] * 100)
    assert (witness.seconds, witness.trouble) == (500.0, "")


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_scores_that_are_no_numbers_are_a_failure(score):
    witness = Witness(60.0, Clock())
    witness.saw([verdict(0.5, 0.5)])
    assert witness.trouble == ""
    witness.saw([verdict(0.5, score)])
    assert witness.trouble == "its scores are not numbers"


@pytest.mark.parametrize(
    ("every", "clip", "patience"), [(1.0, 2.0, 60.0), (30.0, 2.0, 256.0), (None, 2.0, None)]
)
def test_patience_is_a_minute_or_some_verdicts_long(every, clip, patience):
    assert patience_of(every, clip) == patience


@pytest.mark.parametrize(
    ("calls", "p95", "dropped", "usual", "slow"),
    [
        (100, 30.0, 0.5, USUAL, True),
        (100, 30.0, 0.5, None, False),
        (10, 30.0, 0.5, USUAL, False),
        (100, 19.0, 0.5, USUAL, False),
        (100, 300.0, 0.05, USUAL, False),
        (100, 300.0, 0.55, Usual(p95_ms=10.0, dropped=0.5), False),
    ],
    ids=["slow", "nothing known", "few calls", "less than twice", "no frame lost", "lost before"],
)
def test_it_is_too_slow_when_it_takes_twice_as_long_and_frames_are_lost_by_that(
    calls, p95, dropped, usual, slow
):
    assert bool(why_too_slow(calls, p95, dropped, usual)) is slow


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 3)), max_size=50))
def test_never_more_time_goes_by_than_the_clock_says(steps):
    witness, clock = Witness(60.0, clock := Clock()), clock
    watch(witness, clock, *steps)
    assert 0.0 <= witness.seconds <= clock.now - 100.0 + 1e-6
    assert witness.verdicts == sum(verdicts for _, verdicts in steps)
