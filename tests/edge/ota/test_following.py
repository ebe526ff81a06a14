from __future__ import annotations

import pytest
from following_helpers import NEW, OLD, evidence_of, record_of, write_record
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette_edge.ota.evidence import Evidence, read_evidence, write_evidence
from vedette_edge.ota.following import Course, Follower, course
from vedette_edge.ota.layout import ModelPlace, evidence_path

NOW = 1_700_000_000.0


def decide(record, evidence=None, *, started=False, fallen=""):
    return course(record, evidence, NOW, started=started, fallen=fallen)


@pytest.mark.parametrize(
    "state",
    ["idle", "check", "space", "fetch", "verify", "staged", "probe", "switch", "commit", "rollback"],
)
def test_in_every_other_state_the_committed_model_alarms_and_nothing_is_tried(state):
    assert decide(record_of(state), evidence_of(starts=2)) == Course(OLD)


def test_in_a_trial_the_candidate_alarms_once_its_start_is_counted():
    found = decide(record_of())
    assert (found.alarms, found.tries) == (NEW, NEW)
    assert (found.evidence.starts, found.evidence.phase, found.evidence.digest) == (1, "trial", NEW.digest)


def test_in_its_shadow_the_candidate_is_tried_and_the_committed_model_alarms():
    found = decide(record_of("shadow"))
    assert (found.alarms, found.tries, found.evidence.phase) == (OLD, NEW, "shadow")


def test_a_start_in_this_process_is_counted_once():
    assert decide(record_of(), evidence_of(starts=3), started=True) == Course(NEW, NEW)


def test_after_its_last_try_it_is_left_with_the_reason():
    found = decide(record_of(), evidence_of(starts=3))
    assert (found.alarms, found.tries) == (OLD, None)
    assert found.evidence.failed == "the agent was started 3 times with it, and each time it ended"


def test_what_failed_stays_left_and_its_reason_is_not_written_over():
    for started in (True, False):
        assert decide(record_of(), evidence_of(starts=1, failed="slow"), started=started) == Course(OLD)


def test_one_that_the_ledger_passes_over_is_left_before_it_is_loaded():
    found = decide(record_of(), evidence_of(starts=1), fallen="it crashed twice")
    assert (found.alarms, found.evidence.failed) == (OLD, "it crashed twice")


def test_what_another_candidate_or_phase_used_up_does_not_count():
    for other in (
        evidence_of(phase="shadow", starts=3),
        evidence_of(digest="c" * 64, starts=3, failed="bad"),
    ):
        found = decide(record_of(), other)
        assert (found.alarms, found.evidence.starts, found.evidence.failed) == (NEW, 1, "")


def test_without_a_committed_model_a_failed_candidate_leaves_nothing():
    assert decide(record_of(committed=None), evidence_of(failed="bad")).alarms is None


def test_what_is_tried_does_not_touch_what_is_committed():
    assert decide(record_of(committed=None)).alarms == NEW
    assert decide(record_of("shadow", committed=None)).alarms is None


# With files


@pytest.fixture
def place(tmp_path):
    (tmp_path / "fights").mkdir()
    return ModelPlace(tmp_path / "fights")


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


def written(state):
    return read_evidence(evidence_path(state, "fights"))


def test_a_start_is_on_the_disk_when_it_is_known_what_runs(place, state):
    write_record(place.directory, record_of())
    assert Follower(place, state).course.alarms == NEW
    assert written(state).starts == 1


@settings(max_examples=30, deadline=None)
@given(tries=st.integers(1, 5), restarts=st.integers(0, 9))
def test_a_crash_loop_ends_in_the_committed_model_within_the_tries(tmp_path_factory, tries, restarts):
    directory = tmp_path_factory.mktemp("loop") / "fights"
    directory.mkdir()
    write_record(directory, record_of(tries=tries))
    state = directory.parent / "state"
    ran = [Follower(ModelPlace(directory), state).course.alarms for _ in range(restarts + tries + 1)]
    assert ran == [NEW] * tries + [OLD] * (restarts + 1)
    assert written(state).failed


def test_a_record_that_changes_is_noticed_and_one_that_does_not_is_not_read(place, state):
    write_record(place.directory, record_of("idle"))
    follower = Follower(place, state)
    assert not follower.look()
    write_record(place.directory, record_of())
    assert follower.look()
    assert (follower.course.alarms, written(state).starts) == (NEW, 1)
    write_record(place.directory, record_of())
    assert follower.look()
    assert (follower.course.alarms, written(state).starts) == (NEW, 1)


def test_a_committed_candidate_goes_on_as_what_is_committed(place, state):
    write_record(place.directory, record_of())
    follower = Follower(place, state)
    write_record(place.directory, record_of("idle", committed=NEW))
    assert follower.look()
    assert follower.course == Course(NEW)


@pytest.mark.parametrize("broken", [b"", b"{", b'{"model": "fights", "state": "flying"}', None])
def test_a_record_that_cannot_be_read_changes_nothing_and_is_told_once(place, state, caplog, broken):
    write_record(place.directory, record_of())
    follower = Follower(place, state)
    if broken is None:
        place.record.unlink()
    else:
        place.record.write_bytes(broken)
    for _ in range(3):
        assert not follower.look()
    assert follower.course.alarms == NEW
    assert caplog.text.count("what runs goes on") == 1


def test_a_failure_is_on_the_disk_and_the_committed_model_runs_even_after_a_restart(place, state):
    write_record(place.directory, record_of())
    follower = Follower(place, state)
    assert follower.fail("it crashed")
    assert not follower.fail("again")
    assert (follower.course, written(state).failed) == (Course(OLD), "it crashed")
    assert Follower(place, state).course == Course(OLD)


def test_a_start_that_cannot_be_counted_is_not_made_and_tried_again_later(place, state, caplog):
    clock = [NOW]
    state.symlink_to("nowhere")
    write_record(place.directory, record_of())
    follower = Follower(place, state, clock=lambda: clock[0])
    assert follower.course == Course(OLD)
    assert "so the candidate is not started" in caplog.text
    state.unlink()
    assert not follower.look()
    clock[0] += 61
    assert follower.look()
    assert (follower.course.alarms, written(state).starts) == (NEW, 1)


def test_a_failure_that_cannot_be_written_counts_all_the_same_and_is_written_later(place, state):
    write_record(place.directory, record_of())
    follower = Follower(place, state)
    directory = evidence_path(state, "fights").parent
    away = directory.rename(state.with_name("away"))
    state.rmdir()
    state.write_bytes(b"")
    assert follower.fail("it crashed")
    assert follower.course == Course(OLD)
    state.unlink()
    state.mkdir()
    away.rename(directory)
    follower.look()
    assert written(state).failed == "it crashed"


@pytest.mark.parametrize("broken", [b"", b"{", b'{"digest": "short"}'])
def test_evidence_that_cannot_be_read_is_taken_for_a_failure(place, state, broken):
    path = evidence_path(state, "fights")
    path.parent.mkdir(parents=True)
    path.write_bytes(broken)
    write_record(place.directory, record_of())
    assert Follower(place, state).course == Course(OLD)
    assert "is no valid evidence" in written(state).failed


def test_without_a_record_there_is_nothing(place, state):
    assert Follower(place, state).course == Course(None)


def test_what_the_shadow_showed_is_kept_for_the_trial(place, state):
    seen = evidence_of(phase="shadow", starts=2, shadow={"compared": 9, "agreed": 8})
    write_evidence(evidence_path(state, "fights"), Evidence.model_validate(seen.model_dump()))
    write_record(place.directory, record_of())
    Follower(place, state)
    assert (written(state).phase, written(state).starts, written(state).shadow.agreed) == ("trial", 1, 8)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_whatever_happens_what_runs_is_what_record_and_evidence_allow(tmp_path_factory, data):
    """A model of the updater and of crashes: a failed candidate never runs again under its record."""
    directory = tmp_path_factory.mktemp("any") / "fights"
    directory.mkdir()
    state, place = directory.parent / "state", ModelPlace(directory)
    record = write_record(directory, record_of("idle"))
    follower, left = Follower(place, state), set()
    for _ in range(data.draw(st.integers(1, 12))):
        act = data.draw(st.sampled_from(["restart", "shadow", "trial", "idle", "fail", "look"]))
        if act in ("shadow", "trial", "idle"):
            record = write_record(directory, record_of(act))
            follower.look()
        elif act == "restart":
            follower = Follower(place, state)
        elif act == "fail" and follower.fail("no reason"):
            left.add(record.state)
        else:
            follower.look()
        found = follower.course
        assert found.alarms in (OLD, NEW)
        if found.alarms == NEW:
            assert record.state == "trial"
            assert read_evidence(evidence_path(state, "fights")).starts <= record.tries
        if record.state in left and follower.evidence.phase == record.state and follower.evidence.failed:
            assert found == Course(OLD)
