from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.decision import Decider
from vedette_edge.manifest import Decision


def rules(**changes):
    values = {
        "on_threshold": 0.6,
        "off_threshold": 0.4,
        "min_duration": 0.0,
        "cooldown": 0.0,
        "smoothing": 1,
        "hop": 1,
        "temperature": 1.0,
    }
    return Decision(**(values | changes))


def run(decision, scores, step=1.0, finish=True):
    """Return (kind, time) of what label 1 does when it has the given scores."""
    decider = Decider(decision, [1])
    changes = []
    for index, score in enumerate(scores):
        changes += decider.push(index * step, np.array([1 - score, score], np.float32))
    if finish:
        changes += decider.finish(len(scores) * step)
    return changes


def kinds(changes):
    return [(change.kind, change.time) for change in changes]


unit = st.floats(0, 1, width=32)
decisions = st.builds(
    lambda low, high, minimum, cooldown, smoothing: rules(
        on_threshold=max(low, high),
        off_threshold=min(low, high),
        min_duration=minimum,
        cooldown=cooldown,
        smoothing=smoothing,
    ),
    unit,
    unit,
    st.sampled_from([0.0, 0.5, 1.0, 3.0]),
    st.sampled_from([0.0, 1.0, 4.0]),
    st.integers(1, 4),
)


@given(decisions, st.lists(unit, max_size=60))
def test_events_of_a_label_alternate_last_long_enough_and_keep_their_distance(decision, scores):
    open_event, ended = None, None
    for change in run(decision, scores):
        if change.kind == "new":
            assert open_event is None
            assert change.time - change.start >= decision.min_duration - 1e-6
            assert change.score >= decision.on_threshold
            assert ended is None or change.start - ended >= decision.cooldown - 1e-6
        else:
            assert open_event is not None
            assert change.start == open_event.start
            assert change.peak >= open_event.peak
        assert change.start <= change.time
        assert change.score <= change.peak + 1e-9
        open_event = None if change.kind == "end" else change
        ended = change.time if change.kind == "end" else ended
    assert open_event is None


@given(decisions, st.lists(st.tuples(unit, unit), max_size=40))
def test_labels_do_not_disturb_each_other(decision, pairs):
    both, alone = Decider(decision, [0, 1]), Decider(decision, [1])
    for time, pair in enumerate(pairs):
        scores = np.array(pair, np.float32)
        changes = both.push(float(time), scores)
        assert [one for one in changes if one.label == 1] == alone.push(float(time), scores)


def test_an_event_begins_at_on_and_ends_below_off():
    changes = run(rules(), [0.5, 0.7, 0.5, 0.45, 0.3, 0.5])
    assert kinds(changes) == [("new", 1.0), ("end", 4.0)]
    assert changes[-1].peak == pytest.approx(0.7)


def test_a_short_stretch_is_no_event():
    assert run(rules(min_duration=2.0), [0.9, 0.9, 0.1, 0.9, 0.9, 0.1]) == []


def test_an_event_starts_when_its_stretch_began():
    (new, _) = run(rules(min_duration=2.0), [0.1, 0.9, 0.9, 0.9])
    assert (new.kind, new.start, new.time) == ("new", 1.0, 3.0)


def test_smoothing_averages_the_last_scores():
    assert kinds(run(rules(smoothing=3), [0.0, 0.95, 0.95, 0.95], finish=False))[0] == ("new", 2.0)


def test_nothing_begins_during_the_cooldown():
    changes = run(rules(cooldown=3.0), [0.9, 0.1, 0.9, 0.9, 0.9, 0.9])
    assert kinds(changes) == [("new", 0.0), ("end", 1.0), ("new", 4.0), ("end", 6.0)]


def test_a_rising_peak_is_told_again():
    changes = run(rules(), [0.7, 0.75, 0.8, 0.85, 0.95], finish=False)
    assert kinds(changes) == [("new", 0.0), ("update", 2.0), ("update", 4.0)]


def test_a_lasting_event_is_told_every_five_seconds():
    changes = run(rules(), [0.7] * 12, finish=False)
    assert kinds(changes) == [("new", 0.0), ("update", 5.0), ("update", 10.0)]


def test_finishing_forgets_what_was_pending():
    decider = Decider(rules(min_duration=2.0, smoothing=2), [1])
    high = np.array([0.1, 0.9], np.float32)
    decider.push(0.0, high)
    assert decider.finish(1.0) == []
    assert decider.push(2.0, high) == []
    assert [change.start for change in decider.push(4.0, high)] == [2.0]


def test_a_stream_that_counts_from_zero_again_is_not_cooled_by_its_future():
    decider = Decider(rules(cooldown=10.0), [1])
    high = np.array([0.1, 0.9], np.float32)
    decider.push(100.0, high)
    decider.finish(101.0)
    assert [change.kind for change in decider.push(0.0, high)] == ["new"]
