"""The power goes at each step of a visit; what was not flushed is lost, or empty."""

import contextlib
import os
import shutil
from pathlib import Path

import pytest
from tuf_helpers import BUNDLE

from vedette_edge.errors import UpdateError

STEPS = ("fsync", "replace", "rename", "symlink", "remove", "unlink", "mkdir")


class Cut(BaseException):
    """The power goes."""


class Disk:
    """Knows what of a directory is on the disk: names as of its last flush, bytes as of that of the file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.names: dict[str, set[str]] = {}
        self.bytes: dict[int, bytes] = {}
        for directory, below, files in os.walk(root):
            self.names[directory] = {*below, *files}
            for name in files:
                path = Path(directory, name)
                self.bytes[path.lstat().st_ino] = b"" if path.is_symlink() else path.read_bytes()

    def flushed(self, descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.is_dir():
            self.names[str(path)] = set(os.listdir(path))
        elif path.exists():
            self.bytes[path.stat().st_ino] = path.read_bytes()

    def after_cut(self, target: Path, *, names_are_kept: bool) -> None:
        """Lay down what is left: of all names, or only of those that were flushed, the bytes that were."""
        target.mkdir()
        for directory, below, files in os.walk(self.root):
            kept = {*below, *files} if names_are_kept else self.names.get(directory, set())
            below[:] = [name for name in below if name in kept]
            there = target / Path(directory).relative_to(self.root)
            for name in below:
                (there / name).mkdir()
            for path in (Path(directory, name) for name in files if name in kept):
                if path.is_symlink():
                    (there / path.name).symlink_to(os.readlink(path))
                else:
                    (there / path.name).write_bytes(self.bytes.get(path.stat().st_ino, b""))


@pytest.fixture
def powered(monkeypatch, device):
    """Makes a visit in which the power goes before step `k`; tells of the disk, and what was offered."""

    def visit(k):
        disk = Disk(device.store.root)
        made = 0

        def stepping(name, step):
            def run(*args, **kwargs):
                nonlocal made
                if made == k:
                    raise Cut
                made += 1
                result = step(*args, **kwargs)
                if name == "fsync":
                    disk.flushed(args[0])
                return result

            return run

        with monkeypatch.context() as patch:
            for name in STEPS:
                patch.setattr(os, name, stepping(name, getattr(os, name)))
            try:
                offer = device.offer()
            except Cut:
                offer = None
        return disk, offer

    return visit


@pytest.mark.parametrize("names_are_kept", [True, False])
def test_no_cut_ends_in_a_rollback_nor_in_a_device_that_takes_nothing_more(
    tmp_path, repository, server, device, powered, names_are_kept
):
    assert device.offer().release.release == 1
    old = dict(repository.files)
    repository.release("door", BUNDLE, 2)
    shutil.copytree(device.store.root, tmp_path / "before", symlinks=True)
    k, offer = 0, None
    while offer is None:
        server.files = repository.files
        shutil.rmtree(device.store.root)
        shutil.copytree(tmp_path / "before", device.store.root, symlinks=True)
        disk, offer = powered(k)
        left = tmp_path / f"left-{k}"
        disk.after_cut(left, names_are_kept=names_are_kept)
        shutil.rmtree(device.store.root)
        left.rename(device.store.root)
        server.files = old
        if offer is None:
            # Nothing was told yet, so the one that was known may still be taken.
            with contextlib.suppress(UpdateError):
                assert device.offer().release.release == 1
        else:
            with pytest.raises(UpdateError, match=r"which was seen before|must be >="):
                device.offer()
            # What the floor remembers does not hang on what the cache does.
            shutil.rmtree(device.store.metadata)
            with pytest.raises(UpdateError, match="which was seen before"):
                device.offer()
        server.files = repository.files
        assert device.offer().release.release == 2
        k += 1
    assert k > 20
