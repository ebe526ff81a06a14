"""A disk in memory that forgets what was not synced when its power is cut, which may be at every operation.

What it may forget is more than file systems do: each change of a directory that was not synced is lost or
kept on its own, whatever came before or after it; a file that was not synced comes back as it was, empty, as
zeros or in part. A rename within a directory is one change, between directories it is two.
"""

from __future__ import annotations

import contextlib
import copy
import errno
import hashlib
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["KEPT", "LOST", "NAMES_ONLY", "DiskTwin", "Loss", "PowerCut", "some"]


class PowerCut(BaseException):
    """The process is gone; no handler of errors sees it."""


@dataclass
class File:
    data: bytes = b""
    synced: bytes | None = None
    read_only: bool = False
    failed: bool = False  # a sync was refused: later ones say that all is well, and keep nothing

    def outcomes(self) -> list[bytes]:
        """What a cut may leave: first nothing of what was written, then all of it, then parts."""
        before = self.synced if self.synced is not None else b""
        return [before, self.data, bytes(len(self.data)), self.data[: len(self.data) // 2]]


@dataclass
class Directory:
    names: dict[str, Node] = field(default_factory=dict)
    synced: dict[str, Node] = field(default_factory=dict)
    changes: list[dict[str, Node | None]] = field(default_factory=list)

    def apply(self, change: dict[str, Node | None]) -> None:
        _apply(self.names, change)
        self.changes.append(change)


Node = File | Directory


@dataclass(frozen=True)
class Loss:
    """Which of the changes that were not synced a cut takes: of names, and of bytes."""

    keeps_name: Callable[[], bool]
    bytes_kept: Callable[[], int]  # index into `File.outcomes`


LOST = Loss(lambda: False, lambda: 0)
KEPT = Loss(lambda: True, lambda: 1)
NAMES_ONLY = Loss(lambda: True, lambda: 2)


def some(seed: int) -> Loss:
    """Return a loss of some of them."""
    chance = random.Random(seed)
    return Loss(lambda: chance.random() < 0.5, lambda: chance.randrange(4))


class DiskTwin:
    """Keeps what is on the disk and what is only in memory."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.root = Directory()
        self.room = room
        self.operations = 0
        self.log: list[str] = []
        # Either may raise what shall happen instead.
        self.before: Callable[[str], None] = lambda _: None
        self.before_look: Callable[[str], None] = lambda _: None

    # What only looks

    def read(self, path: Path, most: int) -> bytes:
        self.before_look(f"read {path}")
        return self._file(path).data[:most]

    def digest(self, path: Path) -> tuple[int, str]:
        self.before_look(f"digest {path}")
        data = self._file(path).data
        return len(data), hashlib.sha256(data).hexdigest()

    def size(self, path: Path) -> int:
        self.before_look(f"size {path}")
        return len(self._file(path).data)

    def names(self, directory: Path) -> dict[str, str]:
        self.before_look(f"names {directory}")
        found = self._directory(directory).names
        return {name: "file" if isinstance(one, File) else "directory" for name, one in found.items()}

    def free(self, path: Path) -> int:
        self.before_look(f"free {path}")
        self._directory(path)
        return self.room - self.used()

    # What changes it

    def write(self, path: Path, data: bytes) -> None:
        self._point("make", path)
        directory = self._directory(path.parent)
        if path.name not in directory.names:
            directory.apply({path.name: File()})
        file = self._file(path)
        if file.read_only:
            raise _error(errno.EACCES, path)
        file.data, file.failed = b"", False
        for end in (len(data) // 2, len(data)):
            self._point("write", path)
            file.data = data[:end]

    def append(self, path: Path, data: bytes) -> None:
        """As a fetch does that goes on where it broke off."""
        if path.name not in self._directory(path.parent).names:
            self.write(path, data)
            return
        self._point("append", path)
        self._file(path).data += data

    def protect(self, path: Path) -> None:
        self._point("protect", path)
        self._file(path).read_only = True

    def sync(self, path: Path) -> None:
        node = self._node(path)
        try:
            self._point("sync", path)
        except OSError:
            if isinstance(node, File):
                node.failed = node.data != node.synced
            raise
        if isinstance(node, Directory):
            for change in node.changes:
                _apply(node.synced, change)
            node.changes.clear()
        elif not node.failed:
            node.synced = node.data

    def rename(self, source: Path, target: Path) -> None:
        self._point("rename", target)
        node, old, new = self._node(source), self._directory(source.parent), self._directory(target.parent)
        if old is new:
            old.apply({source.name: None, target.name: node})
        else:
            new.apply({target.name: node})
            old.apply({source.name: None})

    def link(self, source: Path, target: Path) -> None:
        self._point("link", target)
        directory = self._directory(target.parent)
        if target.name in directory.names:
            raise _error(errno.EEXIST, target)
        directory.apply({target.name: self._file(source)})

    def unlink(self, path: Path) -> None:
        self._point("unlink", path)
        self._file(path)
        self._directory(path.parent).apply({path.name: None})

    def make_directory(self, path: Path) -> None:
        self._point("make directory", path)
        if path.name in self.names(path.parent):
            raise _error(errno.EEXIST, path)
        self._directory(path.parent).apply({path.name: Directory()})

    def remove_directory(self, path: Path) -> None:
        self._point("remove directory", path)
        if self._directory(path).names:
            raise _error(errno.ENOTEMPTY, path)
        self._directory(path.parent).apply({path.name: None})

    # What a test does with it

    def make_directories(self, path: Path) -> None:
        """Make them, on the disk, uncounted."""
        node = self.root
        for part in path.parts[1:]:
            fresh = node.names.setdefault(part, Directory())
            assert isinstance(fresh, Directory)
            node.synced[part] = fresh
            node = fresh

    def copied(self) -> DiskTwin:
        """Return one in the same state, whose operations are not watched."""
        twin = DiskTwin(self.room)
        twin.root = copy.deepcopy(self.root)
        return twin

    def after_cut(self, loss: Loss) -> DiskTwin:
        """Return what is found when the power comes back."""
        twin = self.copied()
        _forget(twin.root, loss, set())
        return twin

    def everything(self) -> dict[str, bytes]:
        """Return each file by its path."""
        return dict(_files(self.root, ""))

    def content(self, path: Path) -> bytes | None:
        """Return a file's bytes, unwatched; None where there is none."""
        try:
            return self._file(path).data
        except OSError:
            return None

    def used(self, *paths: Path) -> int:
        """Return the bytes of the files below these directories, each once; of all, without."""
        counted: dict[int, int] = {}
        for path in paths or (Path("/"),):
            with contextlib.suppress(FileNotFoundError):
                _count(self._node(path), counted)
        return sum(counted.values())

    def _point(self, what: str, path: Path) -> None:
        operation = f"{what} {path}"
        self.operations += 1
        self.log.append(operation)
        self.before(operation)

    def _node(self, path: Path) -> Node:
        node: Node = self.root
        for part in path.parts[1:]:
            if not isinstance(node, Directory):
                raise _error(errno.ENOTDIR, path)
            if part not in node.names:
                raise _error(errno.ENOENT, path)
            node = node.names[part]
        return node

    def _file(self, path: Path) -> File:
        node = self._node(path)
        if not isinstance(node, File):
            raise _error(errno.EISDIR, path)
        return node

    def _directory(self, path: Path) -> Directory:
        node = self._node(path)
        if not isinstance(node, Directory):
            raise _error(errno.ENOTDIR, path)
        return node


def _error(number: int, path: Path) -> OSError:
    return OSError(number, os.strerror(number), str(path))


def _apply(names: dict[str, Node], change: dict[str, Node | None]) -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


def _forget(node: Node, loss: Loss, seen: set[int]) -> None:
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, File):
        node.data = node.data if node.data == node.synced else node.outcomes()[loss.bytes_kept()]
        node.synced, node.failed = node.data, False
        return
    for change in node.changes:
        if loss.keeps_name():
            _apply(node.synced, change)
    node.changes, node.names = [], dict(node.synced)
    for below in node.names.values():
        _forget(below, loss, seen)


def _count(node: Node, counted: dict[int, int]) -> None:
    if isinstance(node, File):
        counted[id(node)] = len(node.data)
        return
    for below in node.names.values():
        _count(below, counted)


def _nodes(directory: Directory, within: str):
    for name, node in sorted(directory.names.items()):
        if isinstance(node, File):
            yield f"{within}/{name}", node
        else:
            yield from _nodes(node, f"{within}/{name}")


def _files(directory: Directory, within: str):
    return ((path, node.data) for path, node in _nodes(directory, within))
