"""Keys are stolen and replaced, roles delegate in strange ways, and have strange names."""

import contextlib
import json
import shutil

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import DelegatedRole
from tuf_helpers import BUNDLE, Device, ReleaseRepository, serving

from vedette_edge.errors import UpdateError
from vedette_edge.ota import client
from vedette_edge.ota.release import release_target


def offered(device):
    offer = device.offer()
    return offer and offer.release.release


def replay(server, files):
    """Have the server show what it showed before."""
    server.files = files


class TestKeys:
    @pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
    @pytest.mark.parametrize("threshold", [1, 2])
    def test_new_keys_that_the_old_root_vouches_for_are_taken(self, tmp_path, role, threshold):
        repository = ReleaseRepository("fleet-a", threshold=threshold)
        repository.release("door", BUNDLE, 1)
        with serving(repository.files) as server:
            device = Device(tmp_path, repository, server.url)
            assert offered(device) == 1
            repository.rotate(role)
            repository.sign("root")
            repository.release("door", BUNDLE, 2)
            repository.publish("targets")
            assert offered(device) == 2

    @pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
    def test_keys_that_were_taken_away_sign_nothing_more(self, repository, device, role):
        stolen = repository.signers[role]
        repository.rotate(role)
        repository.sign("root")
        repository.signers[role] = stolen
        repository.publish("targets")
        with pytest.raises(UpdateError, match=f"{role} was signed by 0/1 keys"):
            device.offer()

    def test_a_new_root_that_the_old_keys_did_not_sign_is_refused(self, repository, device):
        repository.rotate("root")
        repository._former_root = []
        repository.sign("root")
        with pytest.raises(UpdateError, match="root was signed by 0/1 keys"):
            device.offer()

    def test_a_new_root_that_its_own_keys_did_not_sign_is_refused(self, repository, device):
        repository.rotate("root")
        repository.signers["root"] = []
        repository.sign("root")
        with pytest.raises(UpdateError, match="root was signed by 0/1 keys"):
            device.offer()

    def test_no_root_may_be_left_out(self, repository, device):
        for _ in range(2):
            repository.sign("root")
        repository.files["metadata/2.root.json"] = repository.files["metadata/3.root.json"]
        with pytest.raises(UpdateError, match="Expected root version 2 instead got version 3"):
            device.offer()

    def test_a_repository_recovers_from_a_version_that_a_stolen_key_drove_up(self, repository, device):
        repository.roles["timestamp"].signed.version = 1_000_000
        repository.sign("timestamp")
        assert offered(device) == 1
        repository.rotate("timestamp")
        repository.roles["timestamp"].signed.version = 2
        repository.sign("root")
        repository.release("door", BUNDLE, 2)
        assert offered(device) == 2
        shutil.rmtree(device.store.metadata)
        assert offered(device) == 2

    def test_a_key_beside_the_old_one_does_not_lower_the_floor(self, repository, device, server):
        old = dict(repository.files)
        repository.release("door", BUNDLE, 2)
        assert offered(device) == 2
        signer = CryptoSigner.generate_ed25519()
        repository.root.add_key(signer.public_key, "timestamp")
        repository.sign("root")
        shutil.rmtree(device.store.metadata)
        replay(server, old | {"metadata/2.root.json": repository.files["metadata/2.root.json"]})
        with pytest.raises(UpdateError, match="timestamp v2 is older than v3"):
            device.offer()

    def test_more_roots_than_a_visit_follows_are_followed_by_the_next(
        self, repository, device, server, monkeypatch
    ):
        assert client._LIMITS.max_root_rotations == 256
        monkeypatch.setattr(client._LIMITS, "max_root_rotations", 5)
        for _ in range(7):
            repository.sign("root")
        repository.rotate("timestamp")
        repository.sign("root")
        repository.publish()
        with pytest.raises(UpdateError, match="timestamp was signed by 0/1 keys"):
            device.offer()
        assert sum(path.endswith(".root.json") for path in server.paths) == 5
        assert offered(device) == 1


class TestDelegations:
    def test_a_role_with_two_parents_is_refused(self, repository, device):
        repository.delegate("shared", ["fleet-a/*"])
        repository.delegate("shared", ["fleet-a/*"], parent="fleet-a")
        repository.publish("shared", "fleet-a", "targets")
        with pytest.raises(UpdateError, match=r"role 'shared' is delegated by .* only a tree"):
            device.offer()

    def test_a_role_that_delegates_to_its_parent_is_refused(self, repository, device):
        repository.delegate("fleet-a", ["fleet-a/*"], parent="fleet-a")
        repository.publish("fleet-a", "targets")
        with pytest.raises(UpdateError, match="role 'fleet-a' is delegated by 'targets' and by 'fleet-a'"):
            device.offer()

    def test_a_chain_of_delegations_is_followed_to_an_end(self, repository, device, server):
        for number in range(40):
            parent = f"level-{number - 1}" if number else "fleet-a"
            repository.delegate(f"level-{number}", ["fleet-a/*/release.json"], parent=parent)
        del repository.targets("fleet-a").targets[release_target("fleet-a", "door")]
        levels = [f"level-{number}" for number in range(40)]
        repository.publish(*levels, "fleet-a", "targets")
        assert device.offer() is None
        assert sum("level" in path for path in server.paths) <= 32


class TestPathTraversal:
    @pytest.mark.parametrize("role", ["../../evil", "/evil", "..", ".", "a/b", "?", "#", "%2e%2e%2fevil"])
    def test_names_of_roles_make_no_paths(self, tmp_path, repository, device, role):
        repository.delegate(role, ["*/*/release.json"])
        roles = repository.targets("targets").delegations.roles
        roles[role] = roles.pop(role)
        repository.targets("targets").delegations.roles = {role: roles[role], **roles}
        roles[role].terminating = False
        before = {path for path in tmp_path.rglob("*") if device.store.metadata not in path.parents}
        repository.publish(role, "targets")
        with contextlib.suppress(UpdateError):
            device.offer()
        after = {path for path in tmp_path.rglob("*") if device.store.metadata not in path.parents}
        assert all(path == device.store.root or device.store.root in path.parents for path in after - before)
        assert {path.parent for path in device.store.metadata.glob("**/*evil*")} <= {device.store.metadata}

    def test_a_name_of_a_role_that_no_file_can_have_ends_in_an_error(self, repository, device):
        role = "x" * 300
        roles = repository.targets("targets").delegations.roles
        evil = DelegatedRole(role, roles["fleet-a"].keyids, 1, False, ["*/*/release.json"])
        repository.targets("targets").delegations.roles = {role: evil, **roles}
        meta = repository.roles["snapshot"].signed.meta
        meta[f"{role}.json"] = meta["fleet-a.json"]
        repository.publish("targets")
        with pytest.raises(UpdateError):
            device.offer()

    @pytest.mark.parametrize("path", ["../model.onnx", "/etc/passwd", "a/../../b", "a\\b"])
    def test_a_file_of_a_release_lies_within_it(self, repository, device, path):
        release = json.loads(device.offer().release.model_dump_json())
        release["files"][1]["path"] = path
        document = json.dumps(release).encode()
        name = release_target("fleet-a", "door")
        repository.target("fleet-a", name, document, {"campaign": "c", "share": 1})
        repository.publish("fleet-a")
        with pytest.raises(UpdateError, match="the release is not valid: files"):
            device.offer()
