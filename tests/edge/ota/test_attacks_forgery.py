"""Somebody who has no key, or the wrong one, makes up releases, or puts them together anew."""

import json

import pytest
from securesystemslib.signer import CryptoSigner
from tuf_helpers import BUNDLE, Device, ReleaseRepository, serving

from vedette_edge.errors import TransportError, UpdateError
from vedette_edge.ota.release import file_target, release_target


def offered(device):
    offer = device.offer()
    return offer and offer.release.release


def replay(server, files):
    """Have the server show what it showed before."""
    server.files = files


class TestArbitrarySoftware:
    @pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "fleet-a"])
    def test_what_another_key_signed_is_refused(self, repository, device, role):
        repository.signers[role] = [CryptoSigner.generate_ed25519()]
        repository.publish("targets", "fleet-a")
        with pytest.raises(UpdateError, match=f"{role} was signed by 0/1 keys"):
            device.offer()

    @pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
    def test_one_key_of_two_is_not_enough(self, tmp_path, role):
        repository = ReleaseRepository("fleet-a", threshold=2)
        repository.release("door", BUNDLE)
        del repository.signers[role][0]
        repository.publish("targets")
        with (
            serving(repository.files) as server,
            pytest.raises(UpdateError, match=f"{role} was signed by 1/"),
        ):
            Device(tmp_path, repository, server.url).offer()

    def test_a_signature_counts_once_however_often_it_stands_there(self, tmp_path):
        repository = ReleaseRepository("fleet-a", threshold=2)
        del repository.signers["timestamp"][0]
        repository.publish()
        document = json.loads(repository.files["metadata/timestamp.json"])
        document["signatures"] *= 2
        repository.files["metadata/timestamp.json"] = json.dumps(document).encode()
        with serving(repository.files) as server, pytest.raises(UpdateError):
            Device(tmp_path, repository, server.url).offer()

    def test_a_key_of_another_fleet_can_release_nothing_here(self, repository, device):
        del repository.targets("fleet-a").targets[release_target("fleet-a", "door")]
        repository.target("fleet-b", release_target("fleet-a", "door"), b"{}", {})
        repository.publish("fleet-a", "fleet-b")
        assert device.offer() is None

    def test_bytes_that_were_changed_are_not_what_was_signed(self, repository, device):
        name = "metadata/timestamp.json"
        repository.files[name] = repository.files[name].replace(b'"version": 2', b'"version": 9', 1)
        repository.files[name] = repository.files[name].replace(b'"version":2', b'"version":9', 1)
        with pytest.raises(UpdateError, match="timestamp was signed by 0/1 keys"):
            device.offer()

    def test_a_page_of_a_captive_portal_is_no_repository(self, repository, device):
        for name in repository.files:
            repository.files[name] = b"<html>please sign in</html>"
        with pytest.raises(UpdateError, match="nothing of it is taken, what runs goes on"):
            device.offer()

    def test_a_root_that_did_not_come_with_the_device_is_no_root(self, tmp_path, server):
        stranger = Device(tmp_path, ReleaseRepository("fleet-a"), server.url)
        with pytest.raises(UpdateError):
            stranger.offer()

    def test_a_root_put_into_the_cache_is_not_trusted(self, device, server):
        assert offered(device) == 1
        stranger = ReleaseRepository("fleet-a")
        stranger.release("door", BUNDLE, 9)
        link = device.store.metadata / "root.json"
        link.unlink()
        link.write_bytes(stranger.first_root)
        (device.store.metadata / "root_history/1.root.json").write_bytes(stranger.first_root)
        replay(server, stranger.files)
        with pytest.raises(UpdateError):
            device.offer()


class TestMixAndMatch:
    def test_an_old_snapshot_under_a_new_name_is_refused(self, repository, device):
        old = repository.files["metadata/2.snapshot.json"]
        repository.release("door", BUNDLE, 2)
        repository.files["metadata/3.snapshot.json"] = old
        with pytest.raises(UpdateError, match="snapshot version 3, got 2"):
            device.offer()

    def test_an_old_fleet_under_a_new_name_is_refused(self, repository, device):
        old = repository.files["metadata/2.fleet-a.json"]
        repository.release("door", BUNDLE, 2)
        repository.files["metadata/3.fleet-a.json"] = old
        with pytest.raises(UpdateError, match="Expected fleet-a v3, got v2"):
            device.offer()

    def test_files_that_were_swapped_on_the_server_are_refused_and_thrown_away(self, repository, device):
        entries = device.offer().release.files
        paths = [f"targets/fleet-a/door/files/{one.sha256}.{one.sha256}" for one in entries]
        repository.files[paths[0]], repository.files[paths[1]] = (
            repository.files[path] for path in paths[::-1]
        )
        for entry in entries:
            with pytest.raises(TransportError, match=r"bytes, .* are signed|has more than|ended after"):
                device.fetch(entry)

    def test_a_file_of_the_same_length_with_other_bytes_is_refused_and_thrown_away(self, repository, device):
        entry = device.offer().release.files[1]
        path = f"targets/fleet-a/door/files/{entry.sha256}.{entry.sha256}"
        repository.files[path] = b"Weights" + repository.files[path][7:]
        with pytest.raises(TransportError, match="is not the file that is signed; it was thrown away"):
            device.fetch(entry)
        assert device.partial.read_bytes() == b""

    def test_a_file_that_is_signed_with_another_length_speaks_against_the_release(self, repository, device):
        entry = device.offer().release.files[0]
        repository.targets("fleet-a").targets[file_target("fleet-a", "door", entry.sha256)].length += 1
        repository.publish("fleet-a")
        with pytest.raises(UpdateError, match="signed with other bytes than those") as caught:
            device.fetch(entry)
        assert not isinstance(caught.value, TransportError)

    def test_a_file_that_is_not_signed_speaks_against_the_release(self, device):
        entry = device.offer().release.files[0].model_copy(update={"sha256": "0" * 64})
        with pytest.raises(UpdateError, match="is not signed") as caught:
            device.fetch(entry)
        assert not isinstance(caught.value, TransportError)

    def test_a_release_of_another_model_is_refused(self, repository, device):
        release = device.offer().release.model_copy(update={"model": "gate"})
        name = release_target("fleet-a", "door")
        repository.target("fleet-a", name, release.model_dump_json().encode(), {"campaign": "c", "share": 1})
        repository.publish("fleet-a")
        with pytest.raises(UpdateError, match="is a release of 'gate'"):
            device.offer()

    def test_metadata_that_a_stranger_forges_never_speak_against_a_release(self, repository, device):
        entry = device.offer().release.files[0]
        repository.signers["timestamp"] = [CryptoSigner.generate_ed25519()]
        repository.publish()
        with pytest.raises(TransportError):
            device.fetch(entry)
