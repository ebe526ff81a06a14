"""The device's own side takes what the release side publishes, over HTTP, through rotations and back."""

from collections.abc import Mapping

import pytest
import tuf_helpers
from edge_helpers import edit_manifest
from release_helpers import NOW, KilledError, fleet_key, online_key, root_keys, targets_keys
from tuf_helpers import serving

from vedette_converters.release.adding import Wanted, revert


class Lying(Mapping):
    """What lies in a directory now."""

    def __init__(self, directory):
        self._directory = directory

    def __getitem__(self, name):
        try:
            return (self._directory / name).read_bytes()
        except OSError as error:
            raise KeyError(name) from error

    def __iter__(self):
        raise NotImplementedError

    def __len__(self):
        raise NotImplementedError


@pytest.fixture
def server(site):
    with serving(Lying(site.repository.directory)) as server:
        yield server


@pytest.fixture
def device(site, server, bundle, tmp_path):
    site.add(bundle, share=0.25, first=("gate-7",))
    site.publish()
    site.first_root = site.repository.device_root.read_bytes()
    home = tmp_path / "device"
    home.mkdir()
    return tuf_helpers.Device(home, site, server.url, fleet="gates", models=("people",))


def release_of(device, bundle=None):
    """Return the release that a device is offered, once it has fetched every file of it."""
    offer = device.offer("people")
    for entry in offer.release.files:
        device.partial.unlink(missing_ok=True)
        data = device.fetch(entry, "people")
        assert bundle is None or data == (bundle / entry.path).read_bytes()
    return offer.release.release


def test_a_device_is_offered_what_was_added_and_fetches_it(device, bundle):
    assert release_of(device, bundle) == 1
    rollout = device.offer("people").rollout
    assert (rollout.share, rollout.first, rollout.paused) == (0.25, ("gate-7",), False)


def test_a_look_without_news_is_small(device, server):
    device.offer("people")
    server.requests.clear()
    server.sent = 0
    device.offer("people")
    assert len(server.requests) <= 3
    assert server.sent <= 1000


def test_a_device_follows_every_rotation_and_the_way_back(site, device, bundle):
    assert release_of(device) == 1
    for change in (online_key, root_keys, targets_keys, fleet_key):
        with site.repository.alone():
            change(site)
        site.publish()
        assert release_of(device) == 1, change.__name__
    edit_manifest(bundle, lambda values: values.update(release=2))
    site.add(bundle)
    site.publish()
    assert release_of(device) == 2
    with site.repository.alone():
        revert(site.repository, "gates", "people", None, Wanted(share=1.0), NOW)
    site.publish()
    assert release_of(device) == 3


def test_a_device_is_never_refused_while_a_rotation_is_killed_again_and_again(site, device):
    for change in (online_key, root_keys, targets_keys, fleet_key):
        with site.repository.alone():
            change(site)
    killed = 0
    while True:
        site.disk.steps.clear()
        site.disk.dies_at = killed
        try:
            site.publish()
        except KilledError:
            killed += 1
            assert device.offer("people").release.release == 1
        else:
            break
    assert killed >= 5
    assert release_of(device) == 1
    assert site.publish().written == ()
