from __future__ import annotations

import logging

import pytest
from edge_helpers import edit_manifest
from visit_helpers import BOARD, Device, RepositoryTwin, another, device

from vedette_edge.errors import TransportError, UpdateError
from vedette_edge.ota.layout import evidence_path


@pytest.fixture
def repository():
    return RepositoryTwin()


@pytest.fixture
def make(tmp_path, repository):
    """Make a device with settings of one's own."""

    def make(**settings):
        return Device(device(tmp_path, **settings), repository)

    return make


@pytest.fixture
def door(make, shared_bundle):
    """A device that runs a model put there by hand."""
    one = make()
    one.adopt(shared_bundle)
    return one


@pytest.fixture
def second(shared_bundle, tmp_path):
    return another(shared_bundle, tmp_path / "second", 2)


def installed(device, model="door"):
    """Return (slot, release) of what is committed."""
    committed = device.record(model).committed
    return (committed.slot, committed.release) if committed else None


# From one end to the other


def test_a_good_release_is_fetched_probed_shown_tried_and_kept(door, repository, second):
    release = repository.release("door", second, 1)
    assert door.states() == ["shadow", "trial", "idle"]
    record = door.record()
    assert installed(door) == ("b", 1)
    assert (record.outcome.result, record.outcome.campaign) == ("committed", "door-1")
    assert (record.committed.digest, record.floor) == (release.digest, 1)
    assert door.probed == [door.ota.store / "door" / "b"]


def test_only_what_is_not_there_yet_is_fetched_and_the_manifest_first(door, repository, second):
    repository.release("door", second, 1)
    door.visit()
    assert repository.fetched == ["manifest.json"]


def test_a_device_without_a_model_takes_one_at_once_whatever_the_share_and_tries_it(
    make, repository, shared_bundle
):
    repository.release("door", shared_bundle, 1, share=0.0)
    one = make()
    assert one.states() == ["trial", "idle"]
    assert installed(one) == ("a", 1)
    assert repository.fetched[0] == "manifest.json"
    assert len(repository.fetched) == 5


def test_where_there_is_nothing_new_nothing_is_written(door, repository, second):
    before = door.record()
    assert door.visit()["door"].record == before
    repository.release("door", second, 1, share=0.0)
    assert door.visit()["door"].record == before
    repository.release("door", second, 1, paused=True)
    assert door.visit()["door"].record == before
    assert door.record().seq == before.seq


def test_a_wait_asks_nobody(door, repository, second):
    repository.release("door", second, 1)
    door.visit()
    repository.error = UpdateError("expired")
    for state in ("shadow", "shadow"):
        found = door.visit()["door"]
        assert (found.record.state, found.trouble) == (state, "")
    door.sees()
    assert door.visit()["door"].record.state == "trial"
    assert repository.asked == 1


def test_the_repository_is_opened_once_and_closed(door, repository, second):
    repository.release("door", second, 1)
    door.visit()
    assert (repository.asked, repository.closed) == (1, 1)


# What goes wrong


@pytest.mark.parametrize("reason", ["its probe hangs: it was not done within 300 s", "it is too slow here"])
def test_what_fails_its_probe_is_refused_for_good_and_never_runs(door, repository, second, reason):
    repository.release("door", second, 1)
    door.probe_error = UpdateError(reason)
    record = door.visit()["door"].record
    assert (record.state, record.outcome.result, record.outcome.reason) == ("idle", "refused", reason)
    assert installed(door) == ("a", 0)
    door.probe_error = None
    assert door.visit()["door"].record.state == "idle"
    assert len(door.probed) == 1


def test_a_probe_that_cannot_be_started_is_tried_again_but_not_for_ever(door, repository, second):
    repository.release("door", second, 1)
    door.probe_error = BlockingIOError(11, "Resource temporarily unavailable")
    for _ in range(3):
        found = door.visit()["door"]
        assert found.record.state == "probe"
        assert "Resource temporarily unavailable" in found.trouble
    record = door.visit()["door"].record
    assert (record.state, record.outcome.result) == ("idle", "refused")
    assert "3 probes did not come to an end" in record.outcome.reason


def test_what_disagrees_in_its_shadow_is_refused(make, repository, shared_bundle, second):
    one = make(least_agreement=0.9)
    one.adopt(shared_bundle)
    repository.release("door", second, 1)
    one.visit()
    one.sees(agreed=5)
    record = one.visit()["door"].record
    assert (record.state, record.outcome.result) == ("idle", "refused")
    assert "agreed" in record.outcome.reason


def test_what_fails_its_trial_is_rolled_back_and_refused(door, repository, second):
    repository.release("door", second, 1)
    door.visit()
    door.sees()
    assert door.visit()["door"].record.state == "trial"
    door.sees(failed="it ended the agent 3 times")
    record = door.visit()["door"].record
    assert (record.state, record.outcome.result) == ("idle", "rolled-back")
    assert record.outcome.reason == "it ended the agent 3 times"
    assert installed(door) == ("a", 0)
    assert door.visit()["door"].record == door.record()


def test_a_release_after_a_bad_one_is_taken(door, repository, second, tmp_path):
    repository.release("door", second, 1)
    door.probe_error = UpdateError("bad")
    door.visit()
    door.probe_error = None
    repository.release("door", another(second, tmp_path / "third", 3), 2)
    assert door.states() == ["shadow", "trial", "idle"]
    assert installed(door) == ("b", 2)


def test_damaged_evidence_counts_as_none_and_the_deadline_still_ends_a_trial(door, repository, second):
    repository.release("door", second, 1)
    door.visit()
    path = evidence_path(door.config.state_dir, "door")
    door.sees()
    path.write_text("{")
    assert door.visit()["door"].record.state == "shadow"
    door.now += door.ota.trial_deadline + 1
    record = door.visit()["door"].record
    assert (record.state, record.outcome.result) == ("idle", "refused")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"hardware": ("jetson-orin",)}, "release 1 is for board jetson-orin, this one is raspberry-pi-4"),
        ({"agent": "99.0"}, "release 1 needs agent 99.0 or later"),
    ],
)
def test_what_is_for_other_devices_is_refused_before_a_byte_and_told_once(
    door, repository, second, changes, reason
):
    door.board = BOARD
    repository.release("door", second, 1, **changes)
    record = door.visit()["door"].record
    assert (record.state, record.outcome.result, record.refused) == ("idle", "refused", ())
    assert reason in record.outcome.reason
    assert repository.fetched == []
    assert door.visit()["door"].record == record


def test_what_finds_no_room_is_refused_before_a_byte_and_taken_once_there_is(door, repository, second):
    repository.release("door", second, 1)
    door.free = 64 * 2**20
    record = door.visit()["door"].record
    assert (record.state, record.outcome.result) == ("idle", "refused")
    assert "must stay free for the agent" in record.outcome.reason
    assert repository.fetched == []
    door.free = 10**12
    assert door.visit()["door"].record.state == "shadow"


def test_what_does_not_fit_the_cameras_ends_after_its_manifest_and_is_taken_once_they_fit(
    make, repository, shared_bundle, tmp_path
):
    renamed = another(shared_bundle, tmp_path / "renamed", 2)
    edit_manifest(renamed, lambda values: values["labels"][1].update(name="glare"))
    repository.release("door", renamed, 1)
    one = make(camera={"labels": ["bright"]})
    record = one.visit()["door"].record
    assert (record.state, record.outcome.result, record.refused) == ("idle", "refused", ())
    assert "has no bright; it has: calm, glare" in record.outcome.reason
    assert repository.fetched == ["manifest.json"]
    one = make(camera={"labels": ["glare"]})
    assert one.visit()["door"].record.state == "trial"


def test_a_file_that_is_not_signed_speaks_against_the_release(door, repository, second):
    repository.release("door", second, 1)
    repository.unsigned = {"manifest.json"}
    record = door.visit()["door"].record
    assert (record.state, record.outcome.reason) == ("idle", "manifest.json is not signed")


def test_a_slot_that_is_damaged_before_it_is_verified_is_fetched_anew(door, repository, second):
    repository.release("door", second, 1)
    real = repository.fetch

    def fetch(model, entry, partial):
        real(model, entry, partial)
        partial.write_bytes(b"x" * entry.bytes)

    repository.fetch = fetch
    record = door.visit()["door"].record
    assert (record.state, record.outcome.result, record.refused) == ("idle", "refused", ())
    repository.fetch = real
    assert door.visit()["door"].record.state == "shadow"


def test_a_model_that_nobody_runs_is_told_of(make, shared_bundle):
    one = make()
    models = {"door": one.config.models["door"].model_copy(update={"bundle": shared_bundle})}
    one.config = one.config.model_copy(update={"models": models})
    assert "no model of the configuration runs what would be updated" in one.visit()["door"].trouble


# Going on


def test_a_line_that_breaks_goes_on_where_it_broke(make, repository, shared_bundle):
    repository.release("door", shared_bundle, 1)
    repository.patience = 2
    one = make()
    for _ in range(2):
        found = one.visit()["door"]
        assert (found.record.state, found.trouble) == ("fetch", "the line is down")
    repository.patience = None
    assert one.visit()["door"].record.state == "trial"
    assert len(repository.fetched) == len(set(repository.fetched)) == 5


def test_who_has_begun_goes_on_though_the_rollout_is_paused(door, repository, second):
    repository.release("door", second, 1)
    repository.patience = 0
    assert door.visit()["door"].record.state == "fetch"
    repository.patience = None
    repository.release("door", second, 1, paused=True)
    assert door.visit()["door"].record.state == "shadow"


def test_what_is_not_whole_gives_way_to_another_release_or_to_none(door, repository, second, tmp_path):
    repository.release("door", second, 1)
    repository.patience = 0
    assert door.visit()["door"].record.state == "fetch"
    repository.release("door", another(second, tmp_path / "third", 3), 2)
    assert door.visit()["door"].record.candidate.release == 2
    repository.offers.clear()
    assert door.visit()["door"].record.state == "idle"


@pytest.mark.parametrize("state", ["verify", "staged", "probe"])
def test_what_was_not_yet_tried_gives_way_to_what_is_offered_now(
    door, repository, second, tmp_path, state, killed
):
    repository.release("door", second, 1)
    killed(door, state)
    repository.release("door", another(second, tmp_path / "third", 3), 2)
    record = door.visit()["door"].record
    assert (record.state, record.outcome.reason) == (
        "idle",
        "release 1 is no longer offered, and was not yet tried here",
    )
    assert door.visit()["door"].record.candidate.release == 2


@pytest.fixture
def killed():
    """Visit a device, and die as soon as a state is on the disk."""

    class Killed(BaseException):
        pass

    def killed(device, state):
        make = device._store

        def store(place):
            one = make(place)
            write = one.write

            def dying(record):
                written = write(record)
                if written.state == state:
                    raise Killed
                return written

            one.write = dying
            return one

        device._store = store
        with pytest.raises(Killed):
            device.visit()
        device._store = make
        assert device.record().state == state

    return killed


@pytest.mark.parametrize("state", ["space", "fetch", "verify", "staged", "probe", "shadow"])
def test_a_visit_that_is_killed_in_any_state_goes_on_from_there(door, repository, second, state, killed):
    repository.release("door", second, 1)
    killed(door, state)
    assert door.states()[-2:] == ["trial", "idle"]
    assert installed(door) == ("b", 1)


@pytest.mark.parametrize("state", ["switch", "trial", "commit"])
def test_so_does_one_that_is_killed_later(door, repository, second, state, killed):
    repository.release("door", second, 1)
    while door.visit()["door"].record.state != ("trial" if state == "commit" else "shadow"):
        door.sees()
    door.sees()
    killed(door, state)
    assert door.states()[-1] == "idle"
    assert installed(door) == ("b", 1)


def test_one_that_is_killed_in_a_rollback_ends_it(door, repository, second, killed):
    repository.release("door", second, 1)
    door.visit()
    door.sees()
    door.visit()
    door.sees(failed="bad")
    killed(door, "rollback")
    assert door.visit()["door"].record.state == "idle"
    assert installed(door) == ("a", 0)


def test_a_probe_that_takes_the_updater_with_it_is_tried_as_often_as_is_allowed(
    door, repository, second, killed
):
    repository.release("door", second, 1)
    for number in range(1, 4):
        killed(door, "probe")
        assert door.record().probes == number
    record = door.visit()["door"].record
    assert (record.state, record.outcome.result) == ("idle", "refused")
    assert door.probed == []


# Several models


def test_what_goes_wrong_with_one_model_does_not_stop_the_others(make, repository, shared_bundle):
    one = make(models=("door", "gate", "yard"))
    for model in ("door", "gate", "yard"):
        repository.release(model, shared_bundle, 1)
    (one.ota.store / "door").mkdir(parents=True)
    (one.ota.store / "door" / "a").write_text("a file where a slot should be")
    found = one.visit()
    assert found["door"].trouble
    assert [found[model].record.state for model in ("gate", "yard")] == ["trial", "trial"]
    assert repository.closed == 1


def test_a_repository_that_cannot_be_opened_is_told_for_each_model_that_needs_it(
    make, repository, shared_bundle, second
):
    one = make(models=("door", "gate"))
    one.adopt(shared_bundle)
    repository.release("door", second, 1)
    one.visit()
    one.sees()
    repository.error = TransportError("no route to host")
    found = one.visit()
    assert (found["door"].record.state, found["door"].trouble) == ("trial", "")
    assert found["gate"].trouble == "no route to host"


# The log


def test_each_transition_is_logged_with_what_a_collector_needs(door, repository, second, caplog):
    release = repository.release("door", second, 1)
    with caplog.at_level(logging.INFO, logger="vedette_edge.ota.visit"):
        door.visit()
    lines = [line for line in caplog.records if getattr(line, "event", "") == "ota"]
    assert [line.state for line in lines] == [
        *("space", "fetch", "verify", "staged", "probe", "shadow"),
    ]
    assert {(line.model, line.release, line.digest) for line in lines} == {("door", 1, release.digest)}
    assert lines[-1].getMessage() == "model 'door': probe -> shadow, release 1"
