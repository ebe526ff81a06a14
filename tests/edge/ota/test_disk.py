"""The disk, real and twin: both do the same, and one of them forgets."""

import errno
import os
from pathlib import Path

import pytest
from disk_twin import KEPT, LOST, NAMES_ONLY, DiskTwin, PowerCut, some

from vedette_edge.ota.disk import OsDisk, replace_file


@pytest.fixture(params=["real", "twin"])
def disk(request, tmp_path):
    if request.param == "real":
        return OsDisk()
    twin = DiskTwin()
    twin.make_directories(tmp_path)
    return twin


def test_a_file_is_read_back_and_its_length_and_hash_told(disk, tmp_path):
    disk.write(tmp_path / "f", b"abc")
    assert disk.read(tmp_path / "f", 2) == b"ab"
    assert disk.size(tmp_path / "f") == 3
    assert disk.digest(tmp_path / "f") == (
        3,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    )


def test_what_is_written_again_is_emptied_first(disk, tmp_path):
    disk.write(tmp_path / "f", b"long before")
    disk.write(tmp_path / "f", b"now")
    assert disk.read(tmp_path / "f", 99) == b"now"


def test_names_tell_files_from_directories(disk, tmp_path):
    disk.write(tmp_path / "f", b"")
    disk.make_directory(tmp_path / "d")
    assert disk.names(tmp_path) == {"f": "file", "d": "directory"}
    disk.remove_directory(tmp_path / "d")
    disk.unlink(tmp_path / "f")
    assert disk.names(tmp_path) == {}


def test_a_linked_file_has_two_names_and_a_renamed_one_replaces(disk, tmp_path):
    disk.write(tmp_path / "f", b"one")
    disk.link(tmp_path / "f", tmp_path / "g")
    disk.write(tmp_path / "h", b"two")
    disk.rename(tmp_path / "h", tmp_path / "f")
    assert (disk.read(tmp_path / "f", 9), disk.read(tmp_path / "g", 9)) == (b"two", b"one")
    assert set(disk.names(tmp_path)) == {"f", "g"}


def test_what_is_wrong_is_an_oserror_of_the_same_number(disk, tmp_path):
    disk.write(tmp_path / "f", b"")
    disk.make_directory(tmp_path / "d")
    disk.write(tmp_path / "d" / "f", b"")
    wrong = {
        errno.ENOENT: lambda: disk.read(tmp_path / "none", 1),
        errno.EISDIR: lambda: disk.digest(tmp_path / "d"),
        errno.EEXIST: lambda: disk.link(tmp_path / "f", tmp_path / "d" / "f"),
        errno.ENOTEMPTY: lambda: disk.remove_directory(tmp_path / "d"),
        errno.ENOTDIR: lambda: disk.names(tmp_path / "f"),
    }
    for number, call in wrong.items():
        with pytest.raises(OSError, match=r".") as raised:
            call()
        assert raised.value.errno == number


def test_there_is_room(disk, tmp_path):
    assert disk.free(tmp_path) > 0
    disk.sync(tmp_path)


def test_a_protected_file_is_read_only(tmp_path):
    disk = OsDisk()
    disk.write(tmp_path / "f", b"abc")
    disk.protect(tmp_path / "f")
    disk.sync(tmp_path / "f")
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o444


def test_symbolic_links_and_pipes_are_neither_followed_nor_waited_for(tmp_path):
    disk = OsDisk()
    (tmp_path / "f").write_bytes(b"abc")
    (tmp_path / "link").symlink_to(tmp_path / "f")
    os.mkfifo(tmp_path / "pipe")
    assert disk.names(tmp_path) == {"f": "file", "link": "other", "pipe": "other"}
    for call in (disk.digest, lambda path: disk.read(path, 1)):
        with pytest.raises(OSError, match="symbolic links"):
            call(tmp_path / "link")
        with pytest.raises(OSError, match="no regular file"):
            call(tmp_path / "pipe")
    with pytest.raises(OSError, match="symbolic links"):
        disk.write(tmp_path / "link", b"")


def cut_at_each_operation(before, act, losses):
    """Yield what is left of a file when the power goes at each operation of `act`."""
    number, cut = 0, True
    while cut:
        disk = DiskTwin()
        disk.make_directories(Path("/d"))
        before(disk)
        disk.operations, cut = 0, False

        def die(_, disk=disk, number=number):
            if disk.operations > number:
                raise PowerCut

        disk.before = die
        try:
            act(disk)
        except PowerCut:
            cut = True
        for loss in losses:
            yield disk.after_cut(loss)
        number += 1


def test_a_replaced_file_is_the_old_or_the_new_one_whenever_the_power_goes():
    path = Path("/d/f")
    losses = [LOST, KEPT, NAMES_ONLY, *map(some, range(50))]
    found = [
        disk.content(path)
        for disk in cut_at_each_operation(
            lambda disk: replace_file(disk, path, b"old"),
            lambda disk: replace_file(disk, path, b"new one"),
            losses,
        )
    ]
    assert set(found) == {b"old", b"new one"}
    assert set(found[-len(losses) :]) == {b"new one"}


@pytest.mark.parametrize("refused", ["make", "write", "sync /d/.f.tmp", "rename"])
def test_a_disk_that_refuses_leaves_the_old_file_and_no_temporary_one(refused):
    disk, path = DiskTwin(), Path("/d/f")
    disk.make_directories(Path("/d"))
    replace_file(disk, path, b"old")

    def full(operation):
        if operation.startswith(refused):
            raise OSError(errno.ENOSPC, "No space left on device")

    disk.before = full
    with pytest.raises(OSError, match="No space"):
        replace_file(disk, path, b"new")
    assert disk.everything() == {"/d/f": b"old"}


def test_the_twin_loses_what_was_not_synced_and_keeps_what_was():
    disk, d = DiskTwin(), Path("/d")
    disk.make_directories(d)
    disk.write(d / "f", b"abc")
    assert disk.after_cut(LOST).everything() == {}
    assert disk.after_cut(KEPT).everything() == {"/d/f": b"abc"}
    assert disk.after_cut(NAMES_ONLY).everything() == {"/d/f": bytes(3)}
    disk.sync(d)
    assert disk.after_cut(LOST).everything() == {"/d/f": b""}
    disk.sync(d / "f")
    disk.write(d / "f", b"xy")
    assert {disk.after_cut(some(seed)).content(d / "f") for seed in range(40)} == {
        b"abc",
        b"xy",
        bytes(2),
        b"x",
    }


def test_a_sync_of_the_twin_that_was_refused_is_not_made_good_by_another():
    disk, d = DiskTwin(), Path("/d")
    disk.make_directories(d)
    disk.write(d / "f", b"abc")
    disk.sync(d)

    def refuse(_):
        raise OSError(errno.EIO, "Input/output error")

    disk.before = refuse
    with pytest.raises(OSError, match="Input/output"):
        disk.sync(d / "f")
    disk.before = lambda _: None
    disk.sync(d / "f")
    assert disk.after_cut(LOST).everything() == {"/d/f": b""}
