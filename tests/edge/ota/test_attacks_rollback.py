"""Somebody shows a device what once was signed, or has it believe in another time."""

import logging
import re
import shutil
import time

import pytest
from tuf_helpers import BUNDLE

from vedette_edge.errors import UpdateError

DAY = 86_400.0


def offered(device):
    offer = device.offer()
    return offer and offer.release.release


def replay(server, files):
    """Have the server show what it showed before."""
    server.files = files


def empty(*paths):
    """What a power cut makes of files that were not flushed."""
    for path in paths:
        path.write_bytes(b"")


class TestRollback:
    @pytest.fixture
    def old(self, repository, device):
        """The repository with release 1, seen by a device that knows release 2."""
        old = dict(repository.files)
        repository.release("door", BUNDLE, 2)
        assert offered(device) == 2
        return old

    def test_an_old_signed_repository_is_refused(self, device, server, old):
        replay(server, old)
        with pytest.raises(UpdateError, match="timestamp"):
            device.offer()

    @pytest.mark.parametrize(
        "lost",
        [("timestamp",), ("snapshot",), ("timestamp", "snapshot"), ("timestamp", "snapshot", "targets")],
    )
    def test_it_is_refused_after_a_power_cut_that_emptied_the_cache(self, device, server, old, lost):
        empty(*(device.store.metadata / f"{role}.json" for role in lost))
        replay(server, old)
        with pytest.raises(UpdateError, match=r"older than v3, which was seen before|must be >= 3"):
            device.offer()

    def test_it_is_refused_after_the_cache_is_lost(self, device, server, old):
        shutil.rmtree(device.store.metadata)
        replay(server, old)
        with pytest.raises(UpdateError, match="timestamp v2 is older than v3, which was seen before"):
            device.offer()

    def test_it_is_refused_after_the_cache_came_back_from_an_old_backup(
        self, tmp_path, repository, device, server
    ):
        assert offered(device) == 1
        shutil.copytree(device.store.metadata, tmp_path / "backup", symlinks=True)
        old = dict(repository.files)
        repository.release("door", BUNDLE, 2)
        assert offered(device) == 2
        shutil.rmtree(device.store.metadata)
        (tmp_path / "backup").rename(device.store.metadata)
        replay(server, old)
        with pytest.raises(UpdateError, match="which was seen before"):
            device.offer()

    def test_what_was_refused_leaves_no_trace_and_the_new_one_is_taken_again(
        self, repository, device, server, old
    ):
        shutil.rmtree(device.store.metadata)
        replay(server, old)
        with pytest.raises(UpdateError):
            device.offer()
        assert not (device.store.metadata / "timestamp.json").exists()
        replay(server, repository.files)
        assert offered(device) == 2

    @pytest.mark.parametrize("lost", [0, 1])
    def test_one_bad_block_does_not_take_the_floor_away(self, device, server, old, lost, caplog):
        floors = sorted(device.store.root.glob("floor*.json"))
        empty(floors[lost])
        shutil.rmtree(device.store.metadata)
        replay(server, old)
        with pytest.raises(UpdateError, match="which was seen before"):
            device.offer()
        assert "damaged" in caplog.text

    @pytest.mark.usefixtures("old")
    def test_without_any_floor_that_can_be_read_nothing_is_taken(self, device):
        empty(*device.store.root.glob("floor*.json"))
        with pytest.raises(UpdateError, match="Without it an old release could pass for a new one"):
            device.offer()

    @pytest.mark.usefixtures("old")
    def test_a_stolen_timestamp_key_brings_no_old_snapshot_back(self, repository, device):
        repository.roles["timestamp"].signed.snapshot_meta.version -= 1
        repository.sign("timestamp")
        shutil.rmtree(device.store.metadata)
        with pytest.raises(UpdateError, match="snapshot v2 is older than v3"):
            device.offer()

    @pytest.mark.usefixtures("old")
    def test_stolen_online_keys_bring_no_old_release_back(self, repository, device):
        repository.roles["snapshot"].signed.meta["fleet-a.json"].version -= 1
        repository.sign("snapshot", "timestamp")
        shutil.rmtree(device.store.metadata)
        with pytest.raises(UpdateError, match="fleet-a v2 is older than v3"):
            device.offer()

    def test_keys_that_root_has_taken_away_stay_away_though_the_cache_is_lost(
        self, repository, device, server, old
    ):
        repository.rotate("timestamp")
        repository.sign("root")
        repository.publish()
        assert offered(device) == 2
        shutil.rmtree(device.store.metadata)
        # The server hides the new root, and shows what the stolen key signs: as high a version as it likes.
        hidden = {name: data for name, data in repository.files.items() if name != "metadata/2.root.json"}
        replay(server, hidden | {"metadata/timestamp.json": old["metadata/timestamp.json"]})
        with pytest.raises(UpdateError, match="root v1 is older than v2"):
            device.offer()


class TestFreeze:
    @pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets", "fleet-a"])
    def test_what_has_expired_is_not_taken_and_the_error_says_that_what_runs_goes_on(
        self, repository, device, role
    ):
        assert offered(device) == 1
        repository.expires = repository.expires.replace(year=2020)
        repository.sign(role)
        repository.expires = repository.expires.replace(year=2099)
        repository.sign(*{"timestamp": [], "snapshot": ["timestamp"]}.get(role, ["snapshot", "timestamp"]))
        with pytest.raises(UpdateError, match=r"expired, at .* UTC; no update is taken, what runs goes on"):
            device.offer()

    def test_it_is_over_once_the_repository_is_signed_anew(self, repository, device):
        device.ahead = 31 * DAY
        with pytest.raises(UpdateError, match=r"timestamp.json is expired|root.json is expired"):
            device.offer()
        repository.expires = repository.expires.replace(year=2099)
        repository.sign("root", "targets", "fleet-a")
        repository.publish()
        assert offered(device) == 1

    def test_half_of_the_time_is_warned_of(self, device, caplog):
        caplog.set_level(logging.WARNING)
        assert offered(device) == 1
        device.ahead = 14 * DAY
        assert offered(device) == 1
        assert not caplog.records
        device.ahead = 16 * DAY
        assert offered(device) == 1
        warned = re.findall("'(.*)' expires at .*more than half of its time has passed", caplog.text)
        assert sorted(warned) == ["fleet-a", "root", "snapshot", "targets", "timestamp"]

    def test_a_clock_that_was_set_back_revives_nothing(self, repository, device):
        soon = repository.expires
        repository.expires = soon.replace(year=2099)
        repository.sign("root", "targets", "fleet-a")
        repository.publish()
        device.ahead = 40 * DAY
        assert offered(device) == 1
        # Newer versions, by the right keys, valid by the clock, but over at a time that was seen.
        repository.expires = soon
        repository.publish()
        device.ahead = 0.0
        with pytest.raises(UpdateError, match="expired"):
            device.offer()

    def test_a_device_without_a_clock_is_not_frozen(self, device):
        device.ahead = -time.time()
        assert offered(device) == 1
        assert offered(device) == 1

    def test_a_clock_far_ahead_stops_updates_only_as_long_as_it_is_wrong(self, device):
        device.ahead = 70 * 365 * DAY
        with pytest.raises(UpdateError, match=r"expired.*or set the clock right"):
            device.offer()
        device.ahead = 0.0
        assert offered(device) == 1
