"""Keys go and come, and a device follows."""

import pytest
from release_helpers import NOW, Device, Site
from tuf.api.exceptions import RepositoryError

from vedette_converters.release.rotation import add_fleet, establish, rotate
from vedette_converters.release.signing import merge, sentences, sign
from vedette_edge.errors import UsageError


def turn(site, role, **changes):
    with site.repository.alone():
        return rotate(site.repository, role, now=NOW, **changes)


@pytest.fixture
def running(site, bundle):
    site.add(bundle)
    site.publish()
    device = Device(site)
    assert device.offer()
    return site, device


@pytest.mark.parametrize("role", ["root", "targets", "online", "gates"])
def test_a_device_follows_when_every_key_of_a_role_is_replaced(role, running):
    site, device = running
    old = [name for name in site.keyids if name.startswith(role)]
    added = [site.new_key(f"new-{name}") for name in old]
    turn(site, role, remove=[site.keyids[name] for name in old], add=added)
    site.publish()
    assert device.offer()
    # From here on the old keys are worth nothing, and the new ones are enough.
    site.signers = {key: one for key, one in site.signers.items() if key not in map(site.keyids.get, old)}
    site.publish(renew=["gates", "targets", "snapshot", "root"])
    assert device.offer()
    assert Device(site).offer()


def test_a_device_follows_many_changes_that_it_missed(running):
    site, device = running
    for n in range(5):
        turn(site, "root", remove=[site.keyids[f"root-{n}"]], add=[site.new_key(f"root-{n + 3}")])
        site.publish()
    assert device.offer()
    assert device.look()._trusted_set.root.version == 6


def test_what_a_removed_online_key_signs_is_refused(running):
    site, device = running
    stolen = site.signers[site.keyids["online"]]
    turn(site, "online", remove=[site.keyids["online"]], add=[site.new_key("online-2")])
    site.publish()
    device.look()
    site.signers = {site.keyids["online-2"]: stolen}
    path = site.repository.metadata / "timestamp.json"
    stamp = path.read_bytes()
    from tuf.api.metadata import Metadata

    forged = Metadata.from_bytes(stamp)
    forged.signed.version += 1
    forged.sign(stolen)
    path.write_bytes(forged.to_bytes())
    with pytest.raises(RepositoryError):
        device.look()


def test_a_root_needs_the_old_and_the_new_threshold(running):
    site, device = running
    added = [site.new_key(f"new-{n}") for n in range(3)]
    turn(site, "root", remove=[site.keyids[f"root-{n}"] for n in range(3)], add=added)
    only_new = site.without("root-0", "root-1", "root-2")
    assert site.publish(signers=only_new).waiting == {"root": 2}
    only_old = site.without("new-0", "new-1", "new-2")
    assert dict(site.publish(signers=only_old).written) == {"root": 2}, "the new keys had signed before"
    assert device.offer()


def test_keys_that_are_elsewhere_sign_copies_that_are_brought_back(running, tmp_path):
    site, device = running
    turn(site, "root", add=[site.new_key("root-3")])
    waiting = site.repository.waiting("root")
    copies = [tmp_path / f"copy-{n}.json" for n in range(2)]
    for n, copy in enumerate(copies):
        copy.write_bytes(waiting.read_bytes())
        assert sign(copy, [site.keyids[f"root-{n}"]], site.signers.get) == (site.keyids[f"root-{n}"],)
    absent = site.without("root-0", "root-1", "root-2", "root-3")
    assert site.publish(signers=absent).waiting == {"root": 2}
    assert set(merge(waiting, copies)) == {site.keyids["root-0"], site.keyids["root-1"]}
    assert dict(site.publish(signers=absent).written) == {"root": 2}
    assert device.offer()


def test_a_copy_that_says_something_else_is_not_merged(running, tmp_path):
    site, _ = running
    turn(site, "root", add=[site.new_key("root-3")])
    waiting = site.repository.waiting("root")
    (tmp_path / "old.json").write_bytes((site.repository.metadata / "1.root.json").read_bytes())
    with pytest.raises(UsageError, match="is not a copy of"):
        merge(waiting, [tmp_path / "old.json"])
    with pytest.raises(UsageError, match="none of the keys given can sign here"):
        sign(waiting, ["0" * 64], site.signers.get)


def test_a_signature_of_a_stranger_counts_for_nothing(running):
    site, _ = running
    turn(site, "root", add=[site.new_key("root-3")])
    site.new_key("stranger")
    site.new_key("stranger-2")
    names = ["stranger", "stranger-2"]
    sign(site.repository.waiting("root"), [site.keyids[name] for name in names], site.signers.get)
    absent = site.without("root-0", "root-1", "root-2", "root-3")
    assert site.publish(signers=absent).waiting == {"root": 2}


def test_who_signs_can_read_what(running):
    site, _ = running
    turn(site, "root", threshold=3)
    from vedette_converters.release.repository import load

    lines = sentences(load(site.repository.waiting("root")))
    assert lines[0].startswith("root, version 2, expires ")
    assert any(line.startswith("root: 3 of 3 keys: ") for line in lines)
    fleet = sentences(load(site.repository.metadata / "1.gates.json"))
    assert any("gates/people/release.json" in line and "people-1" in line for line in fleet)


@pytest.mark.parametrize(
    ("role", "changes", "sentence"),
    [
        (
            "doors",
            {"threshold": 1},
            "there is no role 'doors': give root, targets, online, or a fleet of gates",
        ),
        ("root", {"remove": ["zz"]}, "'zz' is not one key of 'root'"),
        ("root", {"remove": [""]}, "'' is not one key of 'root'"),
        ("root", {"threshold": 4}, "'root' would have 3 key"),
        ("online", {"threshold": 2}, "'online' would have 1 key"),
    ],
)
def test_a_change_that_cannot_be_is_told_and_nothing_waits(role, changes, sentence, running):
    site, _ = running
    with pytest.raises(UsageError, match=sentence):
        turn(site, role, **changes)
    assert not any(site.repository.staged().items())


def test_the_last_key_of_a_role_cannot_go(running):
    site, _ = running
    with pytest.raises(UsageError, match=r"'gates' would have 0 key.*add a key"):
        turn(site, "gates", remove=[site.keyids["gates"]])


def test_a_fleet_is_added_later(running, bundle):
    site, device = running
    with site.repository.alone():
        add_fleet(site.repository, "docks", [site.new_key("docks")], 1, NOW)
    site.add(bundle, fleet="docks")
    done = site.publish(signers=site.without("targets-0", "targets-1"))
    assert done.waiting == {"targets": 1, "docks": 0}
    site.publish()
    assert device.offer(fleet="docks")[0].release == 1
    with site.repository.alone():
        for name, sentence in (("docks", "a fleet 'docks' already"), ("root", "TUF has a role of that name")):
            with pytest.raises(UsageError, match=sentence):
                add_fleet(site.repository, name, [site.new_key("x")], 1, NOW)


def test_a_fleets_key_speaks_for_its_fleet_alone(tmp_path, bundle):
    site = Site(tmp_path, fleets=("gates", "docks"))
    site.add(bundle, fleet="docks")
    with site.repository.alone():
        role = site.repository.staged().fleets["docks"]
        for name in list(role.signed.targets):
            target = role.signed.targets.pop(name)
            target.path = name.replace("docks/", "gates/")
            role.signed.targets[target.path] = target
        site.repository.stage("docks", role)
    site.publish()
    assert Device(site).offer() is None


def test_a_repository_is_not_begun_twice(site):
    keys = {role: [site.new_key(f"{role}-x")] for role in ("root", "targets", "online")}
    with site.repository.alone(), pytest.raises(UsageError, match="is a repository already"):
        establish(site.repository, keys, {}, {}, 1, NOW)
