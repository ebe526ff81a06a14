from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.scoring import Span, score_alarms

SQUAT = Span("squat", 10.0, 20.0)


def test_an_event_that_overlaps_its_action_is_right():
    score = score_alarms([Span("squat", 12.0, 22.0)], [SQUAT])
    assert (score.matches, score.false_alarms) == ((0,), ())
    assert (score.precision, score.recall) == (1.0, 1.0)


@pytest.mark.parametrize(
    "event", [Span("wave", 12.0, 18.0), Span("squat", 20.0, 25.0), Span("squat", 0.0, 10.0)]
)
def test_another_label_or_another_time_is_a_false_alarm_and_a_miss(event):
    score = score_alarms([event], [SQUAT])
    assert (score.matches, score.false_alarms) == ((None,), (0,))
    assert (score.precision, score.recall) == (0.0, 0.0)


def test_a_second_event_for_one_action_is_a_false_alarm_and_the_longer_overlap_counts():
    score = score_alarms([Span("squat", 10.0, 12.0), Span("squat", 13.0, 20.0)], [SQUAT])
    assert (score.matches, score.false_alarms) == ((1,), (0,))
    assert score.precision == 0.5


def test_one_event_cannot_serve_two_actions():
    score = score_alarms([Span("squat", 0.0, 50.0)], [SQUAT, Span("squat", 30.0, 35.0)])
    assert score.matches == (0, None)
    assert score.recall == 0.5


def test_where_nothing_happens_and_nothing_is_told_all_is_well():
    score = score_alarms([], [])
    assert (score.precision, score.recall) == (1.0, 1.0)


spans = st.builds(
    lambda label, start, length: Span(label, start, start + length),
    st.sampled_from("ab"),
    st.floats(0, 50),
    st.floats(0.1, 10),
)


@given(st.lists(spans, max_size=8), st.lists(spans, max_size=8))
def test_every_event_is_either_matched_once_or_a_false_alarm(events, actions):
    score = score_alarms(events, actions)
    used = [match for match in score.matches if match is not None]
    assert sorted([*used, *score.false_alarms]) == list(range(len(events)))
    assert len(score.matches) == len(actions)
    assert 0.0 <= score.precision <= 1.0
    assert 0.0 <= score.recall <= 1.0
