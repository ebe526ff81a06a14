import typing

import pytest
from update_table import FOLLOWS
from update_twin import CONFIG

from vedette_edge.ota import machine
from vedette_edge.ota.evidence import Evidence, ShadowFigures
from vedette_edge.ota.machine import (
    Corrupt,
    DoesNotFit,
    Event,
    Fetched,
    FetchFailed,
    Fits,
    Look,
    NothingNew,
    Offered,
    Probed,
    ProbeFailed,
    Probing,
    Settled,
    ShadowFailed,
    ShadowPassed,
    Switched,
    TrialFailed,
    TrialPassed,
    Verified,
    after,
    judge_trial,
    wanted,
)
from vedette_edge.ota.record import MOST_REFUSED, Installed, Record, Refused, State

OLD, NEW, OTHER = "a" * 64, "b" * 64, "c" * 64
COMMITTED = Installed(slot="b", release=4, digest=OLD)
CANDIDATE = Installed(slot="a", release=5, digest=NEW, campaign="spring")
STATES = typing.get_args(State)
NOW = 1_000.0

EVENTS = (
    Look(),
    Offered(6, OTHER, "summer", 5),
    NothingNew(),
    Fits(),
    DoesNotFit("no room"),
    Fetched(),
    FetchFailed("the line broke"),
    FetchFailed("gone", final=True),
    Verified(),
    Corrupt("another file"),
    Probing(),
    Probed(),
    ProbeFailed("slow"),
    ShadowPassed(),
    ShadowFailed("disagrees"),
    Switched(),
    TrialPassed(),
    TrialFailed("crashes"),
    Settled(),
)


def record_in(state, **changes):
    candidate = None if state in ("idle", "check", "commit") else CANDIDATE
    fields = {"model": "door", "state": state, "committed": COMMITTED, "candidate": candidate, "floor": 4}
    return Record(**(fields | changes))


def name_of(event):
    return type(event).__name__ + (", final" if getattr(event, "final", False) else "")


@pytest.mark.parametrize("event", EVENTS, ids=name_of)
@pytest.mark.parametrize("state", STATES)
def test_each_state_knows_its_events_and_no_others(state, event):
    record = record_in(state)
    follows = FOLLOWS.get((state, name_of(event)))
    if follows is None:
        with pytest.raises(ValueError, match=f"means nothing in state {state}"):
            after(record, event, NOW)
    else:
        assert after(record, event, NOW).state == follows


def test_the_table_has_every_event():
    assert {type(event) for event in EVENTS} == set(typing.get_args(Event))


@pytest.mark.parametrize("event", EVENTS, ids=name_of)
@pytest.mark.parametrize("state", STATES)
def test_the_committed_model_changes_only_where_a_trial_has_passed(state, event):
    record = record_in(state)
    if (state, name_of(event)) in FOLLOWS and not isinstance(event, TrialPassed):
        following = after(record, event, NOW)
        assert (following.committed, following.floor) == (record.committed, record.floor)


def test_what_passed_its_trial_is_committed_and_raises_the_floor():
    record = after(record_in("trial"), TrialPassed(), NOW)
    assert (record.committed, record.candidate, record.floor) == (CANDIDATE, None, 5)
    assert record.outcome is not None
    assert (record.outcome.result, record.outcome.campaign, record.outcome.ts) == ("committed", "spring", NOW)


def test_the_floor_does_not_fall_with_a_commit():
    assert after(record_in("trial", floor=9), TrialPassed(), NOW).floor == 9


@pytest.mark.parametrize(
    ("state", "event", "result"),
    [
        ("probe", ProbeFailed("why"), "refused"),
        ("shadow", ShadowFailed("why"), "refused"),
        ("trial", TrialFailed("why"), "rolled-back"),
    ],
    ids=str,
)
def test_what_the_release_is_to_blame_for_is_not_tried_again(state, event, result):
    record = after(record_in(state), event, NOW)
    assert record.refused == (Refused(release=5, digest=NEW, reason="why"),)
    assert record.outcome is not None
    assert (record.outcome.result, record.outcome.reason) == (result, "why")
    assert not wanted(record, 5, NEW, part=True)


@pytest.mark.parametrize(
    ("state", "event"),
    [
        ("space", DoesNotFit("why")),
        ("fetch", FetchFailed("why", final=True)),
        ("verify", Corrupt("why")),
        ("switch", Corrupt("why")),
    ],
    ids=str,
)
def test_what_disk_or_network_are_to_blame_for_is_tried_again(state, event):
    record = after(record_in(state), event, NOW)
    assert record.outcome is not None
    assert (record.outcome.result, record.outcome.reason, record.refused) == ("refused", "why", ())
    assert wanted(record, 5, NEW, part=True)


def test_a_release_that_is_withdrawn_leaves_no_outcome():
    record = after(record_in("fetch"), NothingNew(), NOW)
    assert (record.candidate, record.outcome, record.refused) == (None, None, ())


def test_a_candidate_goes_into_the_slot_that_is_not_committed():
    record = after(record_in("check"), Offered(6, OTHER, "summer", 5), NOW)
    assert record.candidate == Installed(slot="a", release=6, digest=OTHER, campaign="summer")
    assert (record.tries, record.since) == (5, NOW)


def test_a_candidate_gives_way_to_another_while_it_is_fetched():
    record = after(record_in("fetch"), Offered(6, OTHER), NOW)
    assert record.candidate is not None
    assert (record.state, record.candidate.release) == ("space", 6)


@pytest.mark.parametrize(
    ("release", "digest", "changes"),
    [
        (4, OTHER, {}),
        (5, OTHER, {"floor": 5}),
        (5, NEW, {"refused": (Refused(release=5, digest=NEW, reason=""),)}),
    ],
    ids=["not newer than what is committed", "not above the floor", "refused"],
)
def test_a_release_that_is_not_wanted_is_no_candidate(release, digest, changes):
    record = record_in("check", **changes)
    assert not wanted(record, release, digest, part=True)
    with pytest.raises(ValueError, match="not wanted"):
        after(record, Offered(release, digest), NOW)


def test_a_device_waits_for_its_wave_unless_it_has_no_model():
    assert not wanted(record_in("idle"), 5, NEW, part=False)
    assert wanted(record_in("idle", committed=None, floor=0), 1, NEW, part=False)


def test_a_device_that_lost_its_model_takes_the_release_of_its_floor_but_none_before():
    record = record_in("idle", committed=None, floor=4)
    assert wanted(record, 4, OLD, part=False)
    assert not wanted(record, 3, OLD, part=True)


def test_a_device_without_a_model_has_no_shadow():
    assert after(record_in("probe", committed=None), Probed(), NOW).state == "switch"


def test_a_probe_that_takes_the_machine_with_it_is_not_begun_for_ever():
    record = record_in("staged", tries=2)
    record = after(record, Probing(), NOW)
    record = after(record, Probing(), NOW)
    assert (record.state, record.probes) == ("probe", 2)
    record = after(record, Probing(), NOW)
    assert (record.state, record.candidate, record.probes) == ("idle", None, 0)
    assert [one.digest for one in record.refused] == [NEW]


def test_the_oldest_of_many_refused_releases_is_forgotten():
    many = tuple(Refused(release=n, digest=f"{n:064x}", reason="") for n in range(10, 10 + MOST_REFUSED))
    record = after(record_in("probe", refused=many), ProbeFailed("why"), NOW)
    assert len(record.refused) == MOST_REFUSED
    assert (record.refused[0].release, record.refused[-1].digest) == (11, NEW)


def test_a_digest_is_refused_once():
    before = (Refused(release=3, digest=NEW, reason="before"),)
    record = after(record_in("probe", refused=before), ProbeFailed("now"), NOW)
    assert [one.reason for one in record.refused] == ["now"]


def test_a_reason_that_no_file_can_hold_is_made_to_fit():
    record = after(record_in("probe"), ProbeFailed("\udcff" + "x" * 5000), NOW)
    assert len(record.refused[0].reason) == 1000
    assert Record.model_validate_json(record.model_dump_json()) == record


def test_a_clock_before_1970_is_taken_for_1970():
    assert after(record_in("idle"), Look(), -5.0).since == 0.0


def evidence(phase, **changes):
    fields = {"digest": NEW, "phase": phase, "starts": 1, "seconds": 1e4, "verdicts": 9, "updated": NOW}
    if phase == "shadow":
        fields["shadow"] = ShadowFigures(compared=10, agreed=9)
    return Evidence(**(fields | changes))


LATE = CONFIG.trial_deadline + 1
PASSED = {"shadow": ShadowPassed(), "trial": TrialPassed()}
FAILED = {"shadow": ShadowFailed, "trial": TrialFailed}
PHASES = pytest.mark.parametrize("phase", ["shadow", "trial"])


@PHASES
@pytest.mark.parametrize("now", [NOW, LATE])
def test_a_candidate_that_did_well_for_long_enough_passes_however_late(phase, now):
    assert judge_trial(record_in(phase), evidence(phase), CONFIG, now) == PASSED[phase]


@PHASES
@pytest.mark.parametrize(
    "changes",
    [{"seconds": 10.0}, {"verdicts": 0}, {"digest": OTHER}, None],
    ids=str,
)
def test_what_is_not_shown_yet_is_waited_for_until_the_deadline(phase, changes):
    seen = None if changes is None else evidence(phase, **changes)
    assert judge_trial(record_in(phase), seen, CONFIG, NOW) is None
    late = judge_trial(record_in(phase), seen, CONFIG, LATE)
    assert late == FAILED[phase](f"the {phase} came to no end within 86400 s")


@PHASES
def test_what_the_agent_says_failed_has_failed(phase):
    seen = evidence(phase, failed="slower than its budget")
    assert judge_trial(record_in(phase), seen, CONFIG, NOW) == FAILED[phase]("slower than its budget")


@PHASES
def test_what_was_seen_in_the_other_phase_tells_nothing(phase):
    other = "trial" if phase == "shadow" else "shadow"
    assert judge_trial(record_in(phase), evidence(other), CONFIG, NOW) is None


def test_a_failure_of_another_candidate_tells_nothing():
    seen = evidence("trial", failed="crashed", digest=OTHER)
    assert judge_trial(record_in("trial"), seen, CONFIG, NOW) is None


def test_a_shadow_that_disagrees_too_often_fails():
    seen = evidence("shadow", shadow=ShadowFigures(compared=10, agreed=4))
    judged = judge_trial(record_in("shadow"), seen, CONFIG, NOW)
    assert judged == ShadowFailed(
        "agreed with the committed model in 40.0% of 10 verdicts, at least 50.0% are asked for"
    )


def test_a_shadow_with_nothing_to_compare_is_waited_for_only_where_agreement_is_asked_for():
    seen = evidence("shadow", shadow=ShadowFigures())
    assert judge_trial(record_in("shadow"), seen, CONFIG, NOW) is None
    lenient = CONFIG.model_copy(update={"least_agreement": 0.0})
    assert judge_trial(record_in("shadow"), seen, lenient, NOW) == ShadowPassed()


def test_without_a_time_for_the_shadow_it_is_passed_at_once():
    none = CONFIG.model_copy(update={"shadow": 0.0})
    assert judge_trial(record_in("shadow"), None, none, NOW) == ShadowPassed()


@pytest.mark.parametrize("state", [state for state in STATES if state not in ("shadow", "trial")])
def test_nothing_is_judged_where_nothing_is_tried(state):
    with pytest.raises(ValueError, match="nothing is tried"):
        judge_trial(record_in(state), None, CONFIG, NOW)


def test_every_event_is_public():
    assert {one.__name__ for one in typing.get_args(Event)} <= set(machine.__all__)
