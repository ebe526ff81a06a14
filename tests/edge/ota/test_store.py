"""The store of a model, on a twin of a disk where the power may go, and on a real one for links and modes."""

import errno
import os
from pathlib import Path

import pytest
from disk_twin import LOST, PowerCut
from edge_helpers import edit_manifest, write_bundle
from update_scenes import by_hand
from update_twin import MODEL, Device, entry_of, sample

from vedette_edge.errors import BundleError, UpdateError
from vedette_edge.ota.disk import OsDisk, replace_file
from vedette_edge.ota.layout import ModelPlace, Store
from vedette_edge.ota.machine import Fetched, Fits, Look, Offered, after
from vedette_edge.ota.record import Installed, Record, Refused
from vedette_edge.ota.store import MOST_DAMAGED, ModelStore

OLD, NEW = sample(1), sample(2)


@pytest.fixture
def device():
    """One that runs release 1, beside which nothing lies yet."""
    device = Device()
    device.offer(OLD)
    device.visit()
    device.run_agent()
    device.visit()
    device.offer(NEW)
    return device


@pytest.fixture
def disk(device):
    return device.disk


@pytest.fixture
def store(device):
    return device.store


@pytest.fixture
def offered(store):
    """The record with release 2 as its candidate."""
    record = after(store.record(), Look(), 1.0)
    return store.write(after(record, Offered(2, NEW.digest), 1.0))


def put(device, path, data, *, synced=True):
    device.disk.write(path, data)
    if synced:
        device.disk.sync(path)
        device.disk.sync(path.parent)


def fill(device, record, one):
    for entry in device.store.prepare(record, one.release):
        device.fetch(entry, device.store.partial(entry))
        device.store.place(record.candidate.slot, entry)


# The record


def test_without_a_trace_of_a_model_the_record_is_fresh_and_nothing_is_written():
    device = Device()
    assert device.store.record() == device.store.peek() == Record(model=MODEL)
    assert device.disk.everything() == {}


def test_what_is_written_has_the_next_number_and_outlives_a_cut(device, store):
    before = store.record()
    written = store.write(before)
    assert written == before.model_copy(update={"seq": before.seq + 1})
    assert device.restarted(device.disk.after_cut(LOST)).store.record() == written


DAMAGED = {
    "garbage": b"\x00\xff{",
    "zeros": bytes(900),
    "empty": b"",
    "truncated": None,
    "another schema": b'{"schema_version": 2, "model": "door"}',
    "too long": b'{"schema_version": 1, "model": "door"}' + b" " * 300_000,
    "of another model": b'{"schema_version": 1, "model": "hall"}',
    "candidate missing": b'{"schema_version": 1, "model": "door", "state": "trial"}',
    "deep": b"[" * 100_000,
    "not a record": b"[]",
}


@pytest.mark.parametrize("document", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_record_is_set_aside_and_rebuilt_from_what_was_committed(device, store, document):
    before, path = store.record(), device.place.record
    document = device.disk.content(path)[:-20] if document is None else document
    put(device, path, document)
    assert store.peek().committed == before.committed
    assert device.disk.content(path) == document, "who only looks writes nothing"
    rebuilt = store.record()
    assert (rebuilt.committed, rebuilt.floor, rebuilt.state) == (before.committed, 1, "idle")
    assert rebuilt.seq > before.seq - 2
    assert device.disk.content(path.with_name("record.json.damaged-1")) == document
    assert store.record() == rebuilt


def test_a_lost_record_is_rebuilt_with_floor_and_refused_releases(device, store):
    refused = (Refused(release=7, digest="7" * 64, reason="slow"),)
    before = store.write(store.record().model_copy(update={"refused": refused, "floor": 3}))
    device.disk.unlink(device.place.record)
    rebuilt = store.record()
    assert (rebuilt.committed, rebuilt.floor, rebuilt.refused) == (before.committed, 3, refused)


def test_a_record_in_an_unreadable_sector_is_rebuilt_but_a_forbidden_one_is_an_error(device, store, disk):
    committed = store.record().committed

    def fail(number):
        def look(operation):
            if operation == f"read {device.place.record}":
                raise OSError(number, os.strerror(number))

        disk.before_look = look

    fail(errno.EACCES)
    with pytest.raises(UpdateError, match=r"refuses \(Permission denied\)"):
        store.record()
    fail(errno.EIO)
    assert store.record().committed == committed


def test_of_two_slots_that_were_committed_the_last_one_counts(device, store):
    device.run_to_the_end()
    device.disk.unlink(device.place.record)
    assert store.record().committed.release == 2


def test_the_older_one_is_taken_where_the_files_of_the_last_are_damaged(device, store):
    device.run_to_the_end()
    device.disk.unlink(device.place.record)
    device.disk.unlink(device.place.slot("b") / "model.onnx")
    rebuilt = store.record()
    assert (rebuilt.committed.release, rebuilt.floor) == (1, 2)


@pytest.mark.parametrize("name", ["b.json", "b/model.onnx"])
def test_a_slot_that_cannot_be_read_just_now_is_not_given_up(device, store, disk, name):
    device.run_to_the_end()
    disk.unlink(device.place.record)

    def fail(operation):
        if operation.endswith(f"/{name}"):
            raise OSError(errno.EIO, "Input/output error")

    disk.before_look = fail
    assert store.peek().committed.release == 1
    with pytest.raises(UpdateError, match="Input/output error"):
        store.record()
    disk.before_look = lambda _: None
    assert store.record().committed.release == 2


def test_a_device_whose_files_are_all_lost_takes_its_release_again(device, store, disk):
    disk.unlink(device.place.record)
    disk.unlink(device.place.slot("a") / "model.onnx")
    device.offer(OLD)
    assert (store.record().committed, store.record().floor) == (None, 1)
    assert device.run_to_the_end().committed.release == 1


def test_a_candidate_that_was_never_committed_does_not_become_so_by_damage(device, store):
    device.visit()
    assert store.record().state == "shadow"
    for name in ("record.json", "a.json"):
        put(device, device.place.directory / name, bytes(100))
    assert store.record() == Record(model=MODEL)


def test_a_release_that_failed_after_it_was_marked_does_not_come_back(device, store):
    """The power went between the mark and the record of a commit, and then the trial failed."""
    device.visit()
    device.run_agent()
    trial = device.visit()
    commit = trial.model_copy(
        update={"state": "commit", "committed": trial.candidate, "candidate": None, "floor": 2}
    )
    store._mark(commit.model_copy(update={"seq": 99}))
    assert store.record() == trial
    store.write(trial)
    device.disk.unlink(device.place.record)
    assert store.record().committed.release == 1


def test_the_same_files_under_a_new_number_are_no_refused_release(device, store):
    before = store.record()
    refused = (Refused(release=5, digest=before.committed.digest, reason="slow here"),)
    store.write(before.model_copy(update={"refused": refused}))
    device.disk.unlink(device.place.record)
    assert store.record().committed == before.committed


def test_damaged_records_do_not_heap_up(device, store):
    for number in range(MOST_DAMAGED + 3):
        put(device, device.place.record, b"damage %d" % number)
        store.record()
    names = [name for name in device.disk.names(device.place.directory) if "damaged" in name]
    assert len(names) == MOST_DAMAGED
    assert device.disk.content(device.place.directory / names[-1]) == b"damage %d" % (MOST_DAMAGED + 2)


def test_a_record_that_a_killed_writer_left_unsynced_is_on_the_disk_once_it_is_read(device, store, disk):
    written = store.record().model_copy(update={"seq": 50, "floor": 9})

    def die(operation):
        if operation == f"sync {device.place.directory}" and "rename" in disk.log[-2]:
            raise PowerCut

    disk.before = die
    with pytest.raises(PowerCut):
        replace_file(disk, device.place.record, written.model_dump_json().encode())
    disk.before = lambda _: None
    assert store.record() == written
    assert device.restarted(disk.after_cut(LOST)).store.record() == written


# Slots


def test_only_what_is_not_known_by_hash_is_fetched_each_hash_once(store, offered):
    missing = store.prepare(offered, NEW.release)
    assert [entry.path for entry in missing] == [
        "manifest.json",
        "model.onnx",
        "golden/logits.npy",
        "parts/one.bin",
    ]
    assert store.still_to_fetch(missing) == sum(entry.bytes for entry in missing)


def test_a_whole_partial_becomes_the_file_under_each_of_its_names(device, disk, store, offered):
    fill(device, offered, NEW)
    store.verify("b", NEW.release)
    assert disk.content(device.place.slot("b") / "parts/two.bin") == NEW.files["parts/two.bin"]
    assert disk.names(device.place.partial) == {}
    assert store.prepare(offered, NEW.release) == []


def test_what_is_there_already_counts_for_what_is_still_to_fetch(device, store, offered):
    missing = store.prepare(offered, NEW.release)
    put(device, store.partial(missing[1]), b"x" * 100)
    assert store.still_to_fetch(missing) == sum(entry.bytes for entry in missing) - 100
    assert store.still_to_fetch([]) == 0


def test_partials_of_another_release_go_and_those_of_this_one_stay(device, disk, store, offered):
    entry = store.prepare(offered, NEW.release)[0]
    put(device, store.partial(entry), b"half")
    put(device, device.place.partial / ("0" * 64), b"of another")
    store.prepare(offered, NEW.release)
    assert set(disk.names(device.place.partial)) == {entry.sha256}


def test_what_does_not_belong_into_a_slot_goes_and_what_is_damaged_is_fetched_anew(
    device, disk, store, offered
):
    fill(device, offered, NEW)
    slot = device.place.slot("b")
    disk.make_directory(slot / "stray")
    disk.write(slot / "stray" / "file", b"")
    disk.write(slot / "more", b"")
    disk.unlink(slot / "model.onnx")
    disk.write(slot / "model.onnx", b"damaged")
    assert [entry.path for entry in store.prepare(offered, NEW.release)] == ["model.onnx"]
    assert set(disk.names(slot)) == {"manifest.json", "golden", "parts"}


def test_a_damaged_file_of_the_committed_slot_is_not_linked(device, disk, store, offered):
    path = device.place.slot("a") / "golden/inputs.npy"
    disk.unlink(path)
    disk.write(path, b"rotten")
    assert "golden/inputs.npy" in [entry.path for entry in store.prepare(offered, NEW.release)]


def test_a_slot_is_filled_only_for_the_candidate_of_the_record(store, offered):
    with pytest.raises(ValueError, match="no candidate"):
        store.prepare(offered, sample(3).release)
    with pytest.raises(ValueError, match="no candidate"):
        store.prepare(Record(model=MODEL), NEW.release)


def wrong(device, change):
    slot, disk = device.place.slot("b"), device.disk
    match change:
        case "missing":
            disk.unlink(slot / "parts/two.bin")
        case "more":
            disk.write(slot / "parts/three.bin", b"")
        case "another":
            disk.unlink(slot / "model.onnx")
            disk.write(slot / "model.onnx", bytes(len(NEW.files["model.onnx"])))
        case "longer":
            disk.unlink(slot / "model.onnx")
            disk.write(slot / "model.onnx", NEW.files["model.onnx"] + b"x")
        case "directory":
            disk.unlink(slot / "model.onnx")
            disk.make_directory(slot / "model.onnx")


@pytest.mark.parametrize("change", ["missing", "more", "another", "longer", "directory"])
def test_a_slot_that_is_not_the_release_is_not_verified(device, store, offered, change):
    fill(device, offered, NEW)
    wrong(device, change)
    with pytest.raises(UpdateError, match=r"/b/"):
        store.verify("b", NEW.release)
    fill(device, offered, NEW)
    store.verify("b", NEW.release)


def test_what_is_verified_is_on_the_disk_even_if_it_was_not_synced_before(device, disk, store, offered):
    fill(device, offered, NEW)
    slot = device.place.slot("b")
    disk.unlink(slot / "model.onnx")
    disk.write(slot / "model.onnx", NEW.files["model.onnx"])
    store.verify("b", NEW.release)
    found = disk.after_cut(LOST)
    assert found.content(slot / "model.onnx") == NEW.files["model.onnx"]


def test_a_release_of_empty_and_equal_files_is_filled_too(device, store):
    files = {"manifest.json": b"{}", "x": b"", "y/x": b""}
    one = sample(5)
    release = one.release.model_copy(
        update={"files": tuple(entry_of(path, data) for path, data in files.items())}
    )
    one = type(one)(release, files)
    device.offer(one)
    record = after(store.record(), Look(), 1.0)
    record = store.write(after(record, Offered(5, one.digest), 1.0))
    fill(device, record, one)
    store.verify("b", release)


# What is not needed


def test_leftovers_go_and_what_is_under_way_stays(device, disk, store, offered):
    entry = store.prepare(offered, NEW.release)[0]
    put(device, store.partial(entry), b"half")
    put(device, device.place.directory / ".record.json.tmp", b"half")
    store.tidy(offered)
    assert set(disk.names(device.place.partial)) == {entry.sha256}
    store.tidy(store.record().model_copy(update={"state": "idle", "candidate": None}))
    assert disk.names(device.place.partial) == {}
    assert ".record.json.tmp" not in disk.names(device.place.directory)


def test_where_there_is_nothing_there_is_nothing_to_tidy():
    device = Device()
    device.store.tidy(Record(model=MODEL))
    assert device.store.free() > 0


# By hand


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("bundles") / "brightness")


def test_a_bundle_by_hand_is_committed_as_release_0_with_the_files_it_names(device, store, bundle):
    (bundle / "README").write_text("not of the bundle")
    before, known = store.record(), by_hand(bundle)
    device.samples[known.digest] = known
    record = store.adopt(bundle, 5.0)
    assert record.committed == Installed(slot="b", release=0, digest=known.digest)
    assert (record.floor, record.since, record.seq) == (before.floor, 5.0, before.seq + 1)
    assert device.loaded(record, "b").files == known.files
    device.disk.unlink(device.place.record)
    assert store.record().committed == record.committed


def test_the_same_bundle_again_changes_nothing_unless_it_is_damaged(device, disk, store, bundle):
    record = store.adopt(bundle, 5.0)
    assert store.adopt(bundle, 6.0) == record
    disk.unlink(device.place.slot("b") / "model.onnx")
    assert store.adopt(bundle, 7.0).committed.slot == "a"


@pytest.mark.usefixtures("offered")
def test_a_bundle_is_not_adopted_while_an_update_is_under_way(store, bundle):
    with pytest.raises(UpdateError, match="an update is under way"):
        store.adopt(bundle, 5.0)


def test_a_bundle_that_is_not_what_its_manifest_names_changes_nothing(store, tmp_path):
    broken = write_bundle(tmp_path / "broken")
    (broken / "model.onnx").write_bytes(b"another")
    before = store.record()
    with pytest.raises(BundleError, match="is not the file"):
        store.adopt(broken, 5.0)
    assert store.record() == before
    edit_manifest(broken, lambda values: values.clear())
    with pytest.raises(BundleError, match="schema_version"):
        store.adopt(broken, 5.0)


# On a real disk


@pytest.fixture
def real(tmp_path, bundle):
    place = Store(tmp_path / "models").model(MODEL)
    store = ModelStore(place)
    store.adopt(bundle, 1.0)
    return place, store


def test_what_is_committed_is_read_only_and_unchanged_files_are_links(real, bundle):
    place, store = real
    known = by_hand(bundle)
    record = after(store.record(), Look(), 1.0)
    record = store.write(after(record, Offered(1, known.digest), 1.0))
    assert store.prepare(record, known.release) == []
    store.verify("b", known.release)
    record = store.write(after(after(record, Fits(), 1.0), Fetched(), 1.0))
    for name in known.files:
        first, second = (place.slot(slot) / name for slot in ("a", "b"))
        assert first.samefile(second)
        assert first.stat().st_mode & 0o222 == 0
    assert ModelStore(place).peek() == record


def test_a_symbolic_link_in_a_slot_is_refused(real, bundle, tmp_path):
    place, store = real
    path = place.slot("a") / "model.onnx"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UpdateError, match="no file of the release"):
        store.verify("a", by_hand(bundle).release)


def test_a_record_that_is_a_link_is_set_aside(real, tmp_path):
    place, store = real
    place.record.rename(tmp_path / "elsewhere")
    place.record.symlink_to(tmp_path / "elsewhere")
    record = store.record()
    assert record.committed is not None
    assert place.record.is_file()
    assert not place.record.is_symlink()


def test_a_disk_that_cannot_be_written_is_one_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    store = ModelStore(ModelPlace(tmp_path / "file" / "door"), OsDisk())
    with pytest.raises(UpdateError, match=r"door: the disk refuses \(Not a directory\); what runs goes on"):
        store.write(Record(model=MODEL))
    assert store.partial(NEW.release.files[0]) == Path(tmp_path / "file" / "door" / "partial" / NEW.digest)
