from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuning_helpers import LABELS, decision, sample

from vedette_edge.tuning.figures import figures_of
from vedette_edge.tuning.trials import alerts_of, critical_scores, run_trials

scores = st.lists(st.floats(0, 1).map(lambda value: round(value, 2)), min_size=1, max_size=20)


def figures(samples, rules):
    trials = run_trials(samples, [rules], LABELS)
    return figures_of(trials, np.zeros(len(samples), np.intp))


def test_an_action_is_found_when_the_window_that_began_its_event_is_over():
    found = figures([sample("fight", [0.1, 0.9, 0.9])], decision())
    assert (found.found, found.actions, found.false_alarms, found.delays) == (1, 1, 0, (2.0,))


def test_smoothing_and_minimum_duration_cost_time():
    one = sample("fight", [0.1, 0.9, 0.9, 0.9, 0.9])
    assert figures([one], decision(min_duration=2.0)).delays == (4.0,)
    assert figures([one], decision(smoothing=3, on_threshold=0.6)).delays == (3.0,)
    assert figures([one], decision(k=3, n=3)).delays == (4.0,)


def test_a_second_event_for_one_action_is_a_false_alarm_but_not_one_of_quiet_hours():
    found = figures([sample("fight", [0.9, 0.1, 0.9, 0.9]), sample("calm", [0.1] * 3600)], decision())
    assert (found.found, found.false_alarms, found.quiet_alarms) == (1, 1, 0)
    assert found.quiet_hours == pytest.approx(1.0)
    assert found.precision.value == 0.5


def test_false_alarms_an_hour_are_those_of_clips_without_an_action():
    quiet = sample("calm", ([0.9] + [0.1] * 899) * 2)
    found = figures([sample("fight", [0.1]), quiet], decision())
    assert found.false_alarm_rate.value == pytest.approx(4.0)
    assert (found.recall.value, found.precision.value, found.delay(0.5)) == (0.0, 0.0, None)


def test_without_any_event_there_is_no_precision():
    assert figures([sample("fight", [0.1])], decision()).precision is None


def test_a_gap_ends_an_event():
    (one, two) = alerts_of(sample("fight", [0.9] * 4, anew=[2]).judged, decision(), LABELS)
    assert (one.span.start, one.span.end, one.told) == (0.5, 2.0, 1.0)
    assert (two.span.start, two.told) == (2.5, 3.0)


@given(scores, st.integers(1, 3), st.integers(1, 3), st.integers(0, 2), st.data())
def test_above_its_critical_score_and_only_there_a_clip_is_silent(values, smoothing, k, more, data):
    anew = data.draw(st.sets(st.integers(0, len(values))))
    one = sample("fight", values, anew=anew)
    (critical,) = critical_scores([one], LABELS, smoothing, k, k + more)
    rules = decision(smoothing=smoothing, k=k, n=k + more, off_threshold=0.0)
    if critical >= 0:
        assert alerts_of(one.judged, rules.model_copy(update={"on_threshold": critical}), LABELS)
    above = float(np.nextafter(critical, 2))
    assert not alerts_of(one.judged, rules.model_copy(update={"on_threshold": max(above, 0)}), LABELS)


@given(
    st.lists(st.tuples(st.sampled_from(["fight", "calm"]), scores), min_size=1, max_size=4), st.floats(0, 1)
)
def test_what_is_not_played_would_have_been_silent(clips, threshold):
    samples = [sample(label, values) for label, values in clips]
    rules = decision(on_threshold=threshold, off_threshold=threshold / 2, k=2, n=3)
    trials = run_trials(samples, [rules], LABELS)
    for column, one in enumerate(samples):
        events = int(trials.false_alarms[0, column]) + int(np.isfinite(trials.delays[0, column]))
        assert events == len(alerts_of(one.judged, rules, LABELS))
