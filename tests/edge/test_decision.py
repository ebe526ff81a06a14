from __future__ import annotations

from datetime import time, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.decision import Decider, Rule
from vedette_edge.manifest import Decision
from vedette_edge.schedule import Period, Schedule


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


class Follower:
    """A decider whose wall clock shows the stream's time."""

    def __init__(self, decision, labels=(1,), **of_rule):
        self.decider = Decider([Rule(label, decision, **of_rule) for label in labels])
        self.finish = self.decider.finish

    def push(self, at, probabilities, zones=None):
        probabilities = np.array(probabilities, np.float32)
        return self.decider.push(at, probabilities, unix_time=at, zones_of=lambda _label: zones or {})


def run(decision, scores, step=1.0, finish=True, **of_rule):
    """Return the changes of label 1 when it has the given scores."""
    decider = Follower(decision, **of_rule)
    changes = []
    for index, score in enumerate(scores):
        changes += decider.push(index * step, [1 - score, score])
    if finish:
        changes += decider.finish(len(scores) * step)
    return changes


def kinds(changes):
    return [(change.kind, change.time) for change in changes]


unit = st.floats(0, 1, width=32)
decisions = st.builds(
    lambda low, high, minimum, cooldown, smoothing, counts: rules(
        on_threshold=max(low, high),
        off_threshold=min(low, high),
        min_duration=minimum,
        cooldown=cooldown,
        smoothing=smoothing,
        k=min(counts),
        n=max(counts),
    ),
    unit,
    unit,
    st.sampled_from([0.0, 0.5, 1.0, 3.0]),
    st.sampled_from([0.0, 1.0, 4.0]),
    st.integers(1, 4),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
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
    both, alone = Follower(decision, [0, 1]), Follower(decision)
    for at, pair in enumerate(pairs):
        changes = both.push(float(at), pair)
        assert [one for one in changes if one.label == 1] == alone.push(float(at), pair)


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
    decider = Follower(rules(min_duration=2.0, smoothing=2))
    high = [0.1, 0.9]
    decider.push(0.0, high)
    assert decider.finish(1.0) == []
    assert decider.push(2.0, high) == []
    assert [change.start for change in decider.push(4.0, high)] == [2.0]


def test_a_stream_that_counts_from_zero_again_is_not_cooled_by_its_future():
    decider = Follower(rules(cooldown=10.0))
    high = [0.1, 0.9]
    decider.push(100.0, high)
    decider.finish(101.0)
    assert [change.kind for change in decider.push(0.0, high)] == ["new"]


@given(st.lists(st.floats(0.41, 0.59), max_size=60), st.booleans())
def test_between_the_thresholds_nothing_changes_but_the_telling(scores, active):
    decider = Follower(rules())
    decider.push(0.0, [0.1, 0.9 if active else 0.1])
    changes = [change for at, score in enumerate(scores, 1) for change in decider.push(at, [0.0, score])]
    assert {change.kind for change in changes} <= ({"update"} if active else set())


@given(st.lists(st.floats(0.41, 1), max_size=40), st.integers(1, 5), st.integers(1, 5))
def test_k_of_n_begins_where_counting_by_hand_says(scores, one, other):
    k, n = min(one, other), max(one, other)
    high = [np.float32(score) >= 0.6 for score in scores]
    expected = next(
        (i for i in range(len(high)) if high[i] and sum(high[max(0, i - n + 1) : i + 1]) >= k), None
    )
    news = [change for change in run(rules(k=k, n=n), scores) if change.kind == "new"]
    assert [change.time for change in news] == ([] if expected is None else [expected])
    if expected is not None:
        oldest = next(i for i in range(max(0, expected - n + 1), expected + 1) if high[i])
        assert news[0].start == oldest
        assert news[0].peak == max(np.float32(score) for score in scores[oldest : expected + 1])


def test_each_event_needs_k_windows_of_its_own():
    assert kinds(run(rules(k=2, n=5), [0.9, 0.9, 0.1, 0.9, 0.5], finish=False)) == [
        ("new", 1.0),
        ("end", 2.0),
    ]


def test_no_event_begins_at_a_window_that_does_not_count():
    assert kinds(run(rules(k=2, n=3, min_duration=2.0), [0.9, 0.9, 0.5, 0.9], finish=False)) == [("new", 3.0)]


DAY = Schedule((Period(frozenset(range(7)), time(0, 0, 3), time(0, 0, 6)),), timezone.utc)


def test_outside_its_schedule_nothing_begins_and_what_is_active_ends():
    changes = run(rules(), [0.9] * 10, schedule=DAY)
    assert kinds(changes) == [("new", 3.0), ("end", 6.0)]


def test_windows_before_the_schedule_do_not_count():
    changes = run(rules(k=2, n=3, min_duration=1.0), [0.9] * 6, schedule=DAY, finish=False)
    assert [(change.time, change.start) for change in changes] == [(4.0, 3.0)]


def test_evidence_outside_the_zones_does_not_count():
    decider = Follower(rules(), zones=frozenset({"gate"}))
    high = [0.1, 0.9]
    assert decider.push(0.0, high, {"gate": 0.49, "lawn": 0.51}) == []
    assert decider.push(1.0, high) == []
    (new,) = decider.push(2.0, high, {"gate": 0.5, "lawn": 0.5})
    assert (new.kind, new.zone) == ("new", "gate")


def test_an_event_that_leaves_its_zone_goes_on_and_says_where_it_was_last():
    decider = Follower(rules(), zones=frozenset({"gate", "lawn"}))
    decider.push(0.0, [0.2, 0.8], {"gate": 1.0, "lawn": 0.0})
    (update,) = decider.push(1.0, [0.1, 0.9], {"gate": 0.1, "lawn": 0.9})
    assert (update.kind, update.zone) == ("update", "lawn")
    (update,) = decider.push(2.0, [0.0, 1.0], {"gate": 0.1, "lawn": 0.1})
    assert (update.kind, update.zone) == ("update", "lawn")
    (end,) = decider.push(3.0, [1.0, 0.0])
    assert (end.kind, end.zone) == ("end", "lawn")
    (new,) = decider.push(4.0, [0.1, 0.9], {"gate": 0.6})
    assert new.zone == "gate"


def test_a_rule_for_the_whole_picture_still_says_which_zone():
    decider = Follower(rules())
    (new,) = decider.push(0.0, [0.1, 0.9], {"gate": 0.7, "lawn": 0.9})
    assert new.zone == "lawn"


def test_zones_are_not_asked_where_the_score_is_low():
    decider = Decider([Rule(1, rules(), zones=frozenset({"gate"}))])
    low = np.array([0.9, 0.1], np.float32)
    assert decider.push(0.0, low, unix_time=0.0, zones_of=lambda _label: pytest.fail("asked")) == []


def test_a_threshold_can_be_changed_while_running_and_off_changes_in_proportion():
    decider = Follower(rules())
    assert decider.push(0.0, [0.0, 0.55]) == []
    decider.decider.set_threshold(1, 0.45)
    assert [change.kind for change in decider.push(1.0, [0.0, 0.5])] == ["new"]
    assert decider.push(2.0, [0.0, 0.31]) == []
    assert [change.kind for change in decider.push(3.0, [0.0, 0.29])] == ["end"]


@pytest.mark.parametrize(
    ("label", "value", "match"), [(0, 0.5, "label 0"), (1, 1.5, "1.5"), (1, float("nan"), "nan")]
)
def test_a_threshold_that_cannot_be_is_refused(label, value, match):
    decider = Follower(rules())
    with pytest.raises(ValueError, match=match):
        decider.decider.set_threshold(label, value)


def test_more_windows_cannot_be_asked_for_than_are_looked_at():
    with pytest.raises(ValueError, match=r"k \(3\) must not be above n \(2\)"):
        rules(k=3, n=2)
