import errno
import os
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tuf_helpers import BUNDLE, Device, ReleaseRepository, answer, record_flushes, serving

from vedette_edge.errors import TransportError, UpdateError


def contents(device):
    return {path.name: path.read_bytes() for path in device.store.metadata.iterdir() if path.is_file()}


def damage_file(path):
    path.write_bytes(b"\x00" * 100)


def damage_by_directory(path):
    path.unlink()
    path.mkdir()


def damage_by_link(path):
    path.unlink()
    path.symlink_to("/dev/zero")


class TestOffers:
    def test_the_current_release_and_its_rollout_are_told(self, repository, device):
        repository.release("door", BUNDLE, 2, share=0)
        offer = device.offer()
        assert (offer.release.release, offer.rollout.campaign, offer.rollout.share) == (2, "door-2", 0.0)

    def test_where_nothing_was_released_there_is_none(self, device):
        assert device.offer("gate") is None

    def test_several_models_cost_one_refresh(self, repository, device, server):
        repository.release("gate", BUNDLE)
        with device.visit() as visit:
            assert visit.offer("door").release.model == "door"
            assert visit.offer("gate").release.model == "gate"
        assert server.paths.count("metadata/timestamp.json") == 1

    def test_a_rollout_that_makes_no_sense_is_refused(self, repository, device):
        release = device.offer().release
        document = release.model_dump_json().encode()
        repository.target("fleet-a", "fleet-a/door/release.json", document, {"campaign": "c", "share": 2})
        repository.publish("fleet-a")
        with pytest.raises(UpdateError, match="the rollout is not valid: share"):
            device.offer()

    def test_a_plain_directory_behind_a_web_server_is_enough(self, tmp_path, repository):
        repository.write(tmp_path / "www")
        files = {
            str(path.relative_to(tmp_path / "www")): path.read_bytes()
            for path in (tmp_path / "www").rglob("*.*")
        }
        with serving(files) as server:
            assert Device(tmp_path, repository, server.url).offer().release.release == 1

    def test_a_repository_in_a_folder_of_its_server_is_found(self, tmp_path, repository):
        with serving({f"some/where/{path}": data for path, data in repository.files.items()}) as server:
            device = Device(tmp_path, repository, f"{server.url}/some/where")
            assert device.fetch(device.offer().release.files[1]) == BUNDLE["model.onnx"]


class TestCost:
    @pytest.mark.parametrize("fleets", [2, 20])
    def test_a_poll_without_news_is_two_requests_and_less_than_a_kilobyte(self, tmp_path, fleets):
        repository = ReleaseRepository(*(f"fleet-{chr(97 + number)}" for number in range(fleets)))
        repository.release("door", BUNDLE)
        with serving(repository.files) as server:
            device = Device(tmp_path, repository, server.url)
            assert device.offer()
            server.requests.clear()
            server.sent = 0
            assert device.offer()
            assert server.paths == ["metadata/2.root.json", "metadata/timestamp.json"]
            assert server.sent < 1000

    def test_a_timestamp_that_was_only_signed_anew_costs_no_more(self, repository, device, server):
        assert device.offer()
        repository.sign("timestamp")
        server.requests.clear()
        assert device.offer()
        assert len(server.requests) == 2

    def test_a_release_that_is_known_is_not_fetched_again(self, repository, device, server):
        assert device.offer()
        repository.publish("fleet-b")
        server.requests.clear()
        assert device.offer()
        assert not any(path.startswith("targets/") for path in server.paths)


class TestFetching:
    def test_a_file_comes_as_it_was_signed(self, device):
        release = device.offer().release
        assert {one.path: device.fetch(one) for one in release.files} == BUNDLE

    def test_a_part_is_made_use_of(self, device, server):
        entry = device.offer().release.files[1]
        device.partial.write_bytes(BUNDLE["model.onnx"][:5000])
        server.sent = 0
        assert device.fetch(entry) == BUNDLE["model.onnx"]
        assert server.sent < 2000 + 1000

    def test_a_slow_server_is_for_the_next_visit(self, device, server):
        entry = device.offer().release.files[1]
        server.answers[f"targets/fleet-a/door/files/{entry.sha256}.{entry.sha256}"] = lambda _: (
            server.stopping.wait(5)
        )
        with pytest.raises(TransportError, match="sent 0 bytes"):
            device.fetch(entry, window=0.3)

    def test_the_deadline_is_of_the_whole_visit(self, tmp_path, repository, server):
        device = Device(tmp_path, repository, server.url, deadline=0.3, least_rate=0.0)
        with device.visit() as visit:
            entry = visit.offer("door").release.files[1]
            server.stopping.wait(0.4)
            with pytest.raises(TransportError, match=r"took more than 0\.3 s"):
                visit.fetch("door", entry, device.partial)


class TestServerTrouble:
    @pytest.mark.parametrize("status", [500, 503])
    @pytest.mark.parametrize(
        "path", ["metadata/2.root.json", "metadata/timestamp.json", "metadata/2.fleet-a.json"]
    )
    def test_a_server_that_fails_is_for_the_next_visit(self, device, server, status, path):
        server.answers[path] = answer(status)
        with pytest.raises(TransportError, match="the next visit tries again"):
            device.offer()
        server.answers.clear()
        assert device.offer()

    @pytest.mark.parametrize("path", ["metadata/timestamp.json", "metadata/2.snapshot.json"])
    def test_metadata_that_are_missing_are_told(self, device, server, path):
        server.answers[path] = answer(404)
        with pytest.raises(TransportError, match="answered 404; check the address of the repository"):
            device.offer()

    def test_a_release_document_that_is_missing_is_told(self, repository, device):
        for path in [path for path in repository.files if path.endswith("release.json")]:
            del repository.files[path]
        with pytest.raises(TransportError, match="check that the repository is complete"):
            device.offer()

    def test_a_server_that_is_away_is_for_the_next_visit(self, tmp_path, repository):
        with serving({}) as gone:
            pass
        with pytest.raises(TransportError, match="the next visit tries again"):
            Device(tmp_path, repository, gone.url).offer()


class TestRoot:
    def test_without_it_nothing_is_believed(self, device):
        device.config.root.unlink()
        with pytest.raises(UpdateError, match="cannot read the repository's root metadata"):
            device.offer()

    @pytest.mark.parametrize("document", [b"", b"{}", b"\x00" * 100, b" " * 600_000])
    def test_one_that_makes_no_sense_ends_before_the_first_request(self, device, server, document):
        device.config.root.write_bytes(document)
        with pytest.raises(UpdateError):
            device.offer()
        assert server.requests == []

    def test_a_newer_one_that_came_with_the_device_is_a_start_too(self, repository, device):
        assert device.offer()
        repository.rotate("targets")
        repository.sign("root")
        repository.release("door", BUNDLE, 2)
        repository.publish("targets")
        device.config.root.write_bytes(repository.files["metadata/2.root.json"])
        shutil.rmtree(device.store.metadata)
        assert device.offer().release.release == 2


class TestCache:
    @pytest.mark.parametrize("damage", [damage_file, damage_by_directory, damage_by_link])
    @pytest.mark.parametrize(
        "name",
        [
            "timestamp.json",
            "snapshot.json",
            "targets.json",
            "fleet-a.json",
            "root_history/1.root.json",
            "releases/door.json",
        ],
    )
    def test_whatever_is_damaged_is_fetched_again(self, device, damage, name):
        assert device.offer()
        damage(device.store.metadata / name)
        assert device.offer().release.release == 1

    # Places are shares of a file: its length varies with the times in it.
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.integers(0, 100), st.floats(0, 1), st.floats(0, 1), st.binary(max_size=20))
    def test_whatever_its_files_hold_the_release_is_found(self, device, which, begin, end, garbage):
        assert device.offer()
        files = sorted(path for path in device.store.metadata.rglob("*.json") if not path.is_symlink())
        path = files[which % len(files)]
        document = path.read_bytes()
        first, last = sorted(round(share * len(document)) for share in (begin, end))
        path.write_bytes(document[:first] + garbage + document[last:])
        assert device.offer().release.release == 1

    @pytest.mark.parametrize("name", ["root_history", "releases", "root.json"])
    def test_a_file_where_none_belongs_is_set_aside(self, device, name, caplog):
        assert device.offer()
        path = device.store.metadata / name
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        path.write_bytes(b"what is this")
        assert device.offer().release.release == 1
        assert "is set aside as .metadata.damaged" in caplog.text
        path.unlink() if path.is_symlink() else shutil.rmtree(path)
        path.write_bytes(b"again")
        assert device.offer().release.release == 1

    def test_a_file_instead_of_it_is_set_aside(self, device):
        device.store.root.mkdir()
        device.store.metadata.write_bytes(b"what is this")
        assert device.offer().release.release == 1

    def test_what_a_killed_client_left_is_removed(self, device):
        assert device.offer()
        (device.store.metadata / "tmpabcdef").write_bytes(b"half a timestamp")
        assert device.offer()
        assert not (device.store.metadata / "tmpabcdef").exists()

    def test_it_is_flushed_before_the_floor_and_the_floor_before_anything_is_told(self, device, monkeypatch):
        flushed = record_flushes(monkeypatch)
        with device.visit() as visit:
            visit.offer("door")
        names = [path.removeprefix(f"{device.store.root}/") for path in flushed]
        cache = {
            ".metadata/timestamp.json",
            ".metadata/snapshot.json",
            ".metadata/targets.json",
            ".metadata",
            ".metadata/root_history",
        }
        first_floor = next(i for i, name in enumerate(names) if "floor" in name)
        assert cache <= set(names[:first_floor])
        last_fleet = max(i for i, name in enumerate(names) if name == ".metadata/fleet-a.json")
        assert any("floor" in name for name in names[last_fleet:])

    def test_a_disk_that_refuses_is_one_clear_error(self, device, monkeypatch):
        def full(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "replace", full)
        with pytest.raises(TransportError, match=r"cannot keep the metadata .*No space left"):
            device.offer()

    def test_nothing_that_was_refused_is_kept(self, repository, device):
        assert device.offer()
        before = contents(device)
        name = "metadata/timestamp.json"
        repository.publish()
        repository.files[name] = repository.files[name].replace(b'"sig"', b'"gis"')
        with pytest.raises(UpdateError):
            device.offer()
        assert contents(device) == before
