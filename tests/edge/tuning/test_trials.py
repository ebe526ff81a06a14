from __future__ import annotations

import itertools

import numpy as np
import pytest
from edge_helpers import opened, write_video
from hypothesis import given
from hypothesis import strategies as st
from tuning_helpers import LABELS, decision, sample

from vedette_edge.decision import Rule
from vedette_edge.events import EventWriter, PictureStyle
from vedette_edge.judges import ClipJudge
from vedette_edge.probabilities import Scale
from vedette_edge.publish.base import JSON
from vedette_edge.topics import Topics, parse_event
from vedette_edge.tuning.figures import figures_of
from vedette_edge.tuning.judged import judge_clip
from vedette_edge.tuning.trials import alerts_of, critical_scores, run_trials
from vedette_edge.video import read_frames
from vedette_edge.watcher import Watcher

scores = st.lists(st.floats(0, 1).map(lambda value: round(value, 2)), min_size=1, max_size=20)


def writer_of(bundle):
    numbers = itertools.count(1)
    return EventWriter(
        topics=Topics("hall", "n1"),
        camera="door",
        labels=[label.name for label in bundle.manifest.labels],
        spec=bundle.manifest.input,
        outputs=bundle.manifest.outputs,
        model_sha256=bundle.digest,
        boot="boot",
        next_seq=numbers.__next__,
        new_id=lambda: f"ID{next(numbers)}",
        style=PictureStyle(),
    )


def events_of(messages):
    return [parse_event(message.payload) for message in messages if message.content_type == JSON]


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


@pytest.mark.parametrize("changes", [{}, {"smoothing": 3}, {"k": 2, "n": 3}, {"min_duration": 0.6}])
def test_the_alerts_are_the_events_of_the_agent(shared_bundle, tmp_path, changes):
    bundle, _, session = opened(shared_bundle)
    manifest = bundle.manifest
    rules = manifest.decision.model_copy(update=changes)
    video = write_video(tmp_path / "v.mp4", (1, False), (1.5, True), (1.2, False), (2, True), (0.4, False))

    def judge():
        return ClipJudge(manifest.input, rules.hop, Scale(rules.temperature), session)

    watcher = Watcher(judge=judge(), rules=[Rule(1, rules)], events=writer_of(bundle), now=lambda: 0.0)
    written, told = [], []
    for frame in read_frames(video):
        events = events_of(watcher.push(frame))
        told += [frame.time for event in events if event.type == "new"]
        written += events
    ends = [event for event in written + events_of(watcher.finish()) if event.type == "end"]

    alerts = alerts_of(judge_clip(video, judge()), rules, {"bright": 1})
    assert [alert.span.label for alert in alerts] == [event.label for event in ends]
    assert [alert.span.start for alert in alerts] == pytest.approx([e.start_position for e in ends], abs=1e-3)
    assert [alert.told for alert in alerts] == pytest.approx(told)
    # The agent ends the last event at the last frame, which lasts another period.
    assert [alert.span.end for alert in alerts] == pytest.approx([e.end_position for e in ends], abs=0.041)
    assert len(alerts) == 2
