"""What is published is taken by python-tuf's own client, whatever happens while it is written."""

from datetime import timedelta

import pytest
from edge_helpers import edit_manifest
from release_helpers import (
    DAY,
    NOW,
    Device,
    KilledError,
    Site,
    fleet_key,
    online_key,
    root_keys,
    targets_keys,
)

from vedette_converters.release.rotation import rotate
from vedette_edge.errors import UpdateError, UsageError


def changed(bundle):
    edit_manifest(bundle, lambda values: values.update(release=values["release"] + 1))
    return bundle


def test_a_client_takes_a_release_and_all_its_files(site, bundle):
    site.publish()
    assert Device(site).offer() is None
    made = site.add(bundle)
    assert Device(site).offer() is None, "it is not published yet"
    site.publish()
    release, rollout = Device(site).offer()
    assert (release, rollout.share, rollout.campaign) == (made, 1.0, "people-1")


def test_a_second_release_is_taken_by_a_client_that_has_the_first(site, bundle):
    site.add(bundle)
    site.publish()
    device = Device(site)
    assert device.offer()[0].release == 1
    site.add(changed(bundle))
    site.publish()
    assert device.offer()[0].release == 2


def test_a_look_without_news_costs_two_requests_and_less_than_a_kilobyte(site, bundle):
    site.add(bundle)
    site.publish()
    device = Device(site)
    device.look()
    device.look()
    assert [name for name, _ in device.asked] == ["metadata/2.root.json", "metadata/timestamp.json"]
    assert sum(size for _, size in device.asked) < 1000


def test_nothing_is_written_while_nothing_is_due(site):
    site.publish()
    before = site.files()
    assert site.publish(NOW + 3 * DAY).written == ()
    assert site.files() == before


def test_snapshot_and_timestamp_are_renewed_at_half_of_their_validity(site):
    site.publish()
    assert site.publish(NOW + 3.6 * DAY).written == (("snapshot", 2), ("timestamp", 2))
    assert site.publish(NOW + 3.7 * DAY).written == ()


def test_a_fleet_is_renewed_at_half_of_its_validity_and_root_and_targets_are_told(site):
    site.publish()
    done = site.publish(NOW + 46 * DAY)
    assert dict(done.written)["gates"] == 2
    assert any(note.startswith("'targets' expires in 44 days") for note in done.notes)
    assert not any("root" in note for note in done.notes)
    assert dict(site.publish(NOW + 46 * DAY, renew=["targets"]).written)["targets"] == 2


def test_a_fleet_whose_key_is_elsewhere_is_told_and_hinders_nothing(site):
    site.publish()
    done = site.publish(NOW + 46 * DAY, signers=site.without("gates"))
    assert [role for role, _ in done.written] == ["snapshot", "timestamp"]
    assert any(note.startswith("'gates' expires") for note in done.notes)


def test_a_role_that_is_not_there_cannot_be_renewed(site):
    site.publish()
    with pytest.raises(UsageError, match="there is no role 'doors'"):
        site.publish(renew=["doors"])


def test_without_the_online_key_nothing_changes_and_the_signatures_are_kept(site, bundle):
    site.publish()
    site.add(bundle)
    before = site.files()
    with pytest.raises(UsageError, match="the online key is not here"):
        site.publish(signers=site.without("online"))
    assert site.files() == before
    site.publish(signers=site.without("gates"))
    assert Device(site).offer()[0].release == 1, "the fleet had signed before"


def test_a_release_whose_fleet_key_is_elsewhere_waits(site, bundle):
    site.publish()
    site.add(bundle)
    done = site.publish(signers=site.without("gates"))
    assert (done.written, done.waiting) == ((), {"gates": 1})
    assert Device(site).offer() is None
    site.publish()
    assert Device(site).offer()[0].release == 1


def test_a_repository_is_published_once_enough_keys_have_signed(site):
    absent = site.without("root-0", "root-1", "root-2")
    with pytest.raises(UsageError, match="nothing is published yet: root lacks 2"):
        site.publish(signers=absent)
    with pytest.raises(UsageError, match="root lacks 1"):
        site.publish(signers=site.without("root-0", "root-1"))
    site.publish(signers=site.without("root-0", "root-2"))
    Device(site).look()


def test_a_root_that_waits_for_signatures_hinders_no_release(site, bundle):
    site.publish()
    with site.repository.alone():
        rotate(site.repository, "root", add=[site.new_key("root-3")], now=NOW)
    site.add(bundle)
    done = site.publish(signers=site.without("root-0", "root-1", "root-3"))
    assert done.waiting == {"root": 1}
    assert Device(site).offer()[0].release == 1
    assert dict(site.publish().written) == {"root": 2}
    Device(site).look()


def test_two_writers_do_not_meet(site):
    with site.repository.alone(), pytest.raises(UsageError, match="another command is writing it"):
        site.publish()


def test_what_waits_and_was_overtaken_is_told(site, bundle):
    site.publish()
    site.add(bundle)
    waiting = site.repository.waiting("gates")
    old = waiting.read_bytes()
    site.publish()
    site.add(changed(bundle))
    site.publish()
    waiting.write_bytes(old)
    with pytest.raises(UpdateError, match="version 3 is published: remove that file"):
        site.publish()


def test_metadata_that_is_damaged_is_told(site):
    site.publish()
    (site.repository.metadata / "timestamp.json").write_bytes(b"{")
    with pytest.raises(UpdateError, match=r"timestamp\.json is no metadata"):
        site.publish()


def second_release(site, bundle):
    site.add(changed(bundle))


def everything(site, bundle):
    for change in (online_key, root_keys, targets_keys, fleet_key):
        with site.repository.alone():
            change(site, bundle)
    second_release(site, bundle)


CHANGES = (second_release, online_key, root_keys, targets_keys, fleet_key, everything)


def prepared(directory, bundle, change):
    directory.mkdir()
    site = Site(directory)
    site.add(bundle)
    site.publish()
    device = Device(site)
    assert device.offer()[0].release == 1
    if change in (second_release, everything):
        change(site, bundle)
    else:
        with site.repository.alone():
            change(site, bundle)
    site.disk.steps.clear()
    return site, device


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_publication_that_is_killed_at_any_write_leaves_what_a_client_takes(change, tmp_path, bundle):
    site, _ = prepared(tmp_path / "whole", bundle, change)
    site.publish()
    steps = len(site.disk.steps)
    assert steps >= 3
    assert Device(site).offer() is not None
    for at in range(steps):
        site, device = prepared(tmp_path / f"cut-{at}", bundle, change)
        site.disk.dies_at = at
        with pytest.raises(KilledError):
            site.publish()
        site.disk.dies_at = None
        for one in (device, Device(site)):
            assert one.offer()[0].release in (1, 2), f"killed before {site.disk.steps[-1:]}"
        site.publish()
        expected = 2 if change in (second_release, everything) else 1
        for one in (device, Device(site)):
            assert one.offer()[0].release == expected
        assert site.publish().written == ()
        assert not any(site.repository.staged().items())


def test_where_an_old_key_is_lost_clients_follow_once_it_is_published(site, bundle):
    site.add(bundle)
    site.publish()
    device = Device(site)
    device.look()
    with site.repository.alone():
        online_key(site)
        targets_keys(site)
    site.publish(signers=site.without("online", "targets-0", "targets-1", "targets-2"))
    assert device.offer()[0].release == 1


def test_where_an_old_key_is_lost_a_killed_publication_is_finished_by_the_next(tmp_path, bundle):
    def begun(directory):
        directory.mkdir()
        site = Site(directory)
        site.add(bundle)
        site.publish()
        with site.repository.alone():
            online_key(site)
        site.disk.steps.clear()
        return site, site.without("online")

    site, signers = begun(tmp_path / "whole")
    site.publish(signers=signers)
    for at in range(len(site.disk.steps)):
        site, signers = begun(tmp_path / f"cut-{at}")
        site.disk.dies_at = at
        with pytest.raises(KilledError):
            site.publish(signers=signers)
        site.disk.dies_at = None
        site.publish(signers=signers)
        assert Device(site).offer()[0].release == 1


def test_a_clock_that_stood_still_does_not_renew_twice(site):
    site.publish()
    later = NOW + 4 * DAY
    assert site.publish(later).written
    assert site.publish(later + timedelta(seconds=1)).written == ()


def test_a_full_disk_is_told_and_harms_nothing(site, bundle):
    site.publish()
    before = site.files()
    site.disk.full = True
    with pytest.raises(UpdateError, match=r"No space left on device; nothing is half-written"):
        site.add(bundle)
    with pytest.raises(UpdateError, match=r"timestamp\.json|snapshot\.json"):
        site.publish(NOW + 4 * DAY)
    site.disk.full = False
    assert site.files() == before
    site.add(bundle)
    site.publish()
    assert Device(site).offer()[0].release == 1
