"""What the updater asks of a disk: few operations, each of which may be the last before the power goes.

What was written is on the disk only once `sync` has returned for the file, and its name only once it has
returned for the directory. A rename within a directory happens whole or not at all. Nothing else is relied
on. What the updater writes goes through here, so that a twin can count the operations, cut the power at each
and forget what was not synced.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

__all__ = ["Disk", "Kind", "OsDisk", "replace_file"]

Kind: TypeAlias = Literal["file", "directory", "other"]

_CHUNK = 1 << 20  # bytes
_READ_ONLY = 0o444


class Disk(Protocol):
    """Files and directories; every operation may raise OSError."""

    def read(self, path: Path, most: int) -> bytes:
        """Return the first `most` bytes of a file; symbolic links are not followed."""
        ...

    def digest(self, path: Path) -> tuple[int, str]:
        """Return a file's length in bytes and its SHA-256; symbolic links are not followed."""
        ...

    def size(self, path: Path) -> int:
        """Return a file's length in bytes."""
        ...

    def names(self, directory: Path) -> dict[str, Kind]:
        """Return what lies in a directory; a symbolic link is "other"."""
        ...

    def free(self, path: Path) -> int:
        """Return the bytes that this user may still write on the disk of a directory."""
        ...

    def write(self, path: Path, data: bytes) -> None:
        """Write a file, made anew or emptied first; not synced."""
        ...

    def protect(self, path: Path) -> None:
        """Make a file read-only."""
        ...

    def sync(self, path: Path) -> None:
        """Wait until a file's bytes, or a directory's names, are on the disk."""
        ...

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name; what has the name is replaced."""
        ...

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second name, which nothing has yet."""
        ...

    def unlink(self, path: Path) -> None:
        """Take a name away from a file."""
        ...

    def make_directory(self, path: Path) -> None:
        """Make a directory whose parent is there."""
        ...

    def remove_directory(self, path: Path) -> None:
        """Remove an empty directory."""
        ...


class OsDisk:
    """The real one."""

    def read(self, path: Path, most: int) -> bytes:
        """Return the first `most` bytes of a file."""
        with os.fdopen(_opened(path), "rb") as file:
            return file.read(most)

    def digest(self, path: Path) -> tuple[int, str]:
        """Return a file's length in bytes and its SHA-256."""
        digest, length = hashlib.sha256(), 0
        with os.fdopen(_opened(path), "rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                length += len(chunk)
        return length, digest.hexdigest()

    def size(self, path: Path) -> int:
        """Return a file's length in bytes."""
        return os.lstat(path).st_size

    def names(self, directory: Path) -> dict[str, Kind]:
        """Return what lies in a directory."""
        with os.scandir(directory) as entries:
            return {entry.name: _kind(entry) for entry in entries}

    def free(self, path: Path) -> int:
        """Return the bytes that this user may still write on the disk of a directory."""
        figures = os.statvfs(path)
        return figures.f_bavail * figures.f_frsize

    def write(self, path: Path, data: bytes) -> None:
        """Write a file; not synced."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o644), "wb") as file:
            file.write(data)

    def protect(self, path: Path) -> None:
        """Make a file read-only."""
        path.chmod(_READ_ONLY)

    def sync(self, path: Path) -> None:
        """Wait until a file's bytes, or a directory's names, are on the disk."""
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name."""
        source.replace(target)

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second name."""
        os.link(source, target, follow_symlinks=False)

    def unlink(self, path: Path) -> None:
        """Take a name away from a file."""
        path.unlink()

    def make_directory(self, path: Path) -> None:
        """Make a directory."""
        path.mkdir(mode=0o755)

    def remove_directory(self, path: Path) -> None:
        """Remove an empty directory."""
        path.rmdir()


def replace_file(disk: Disk, path: Path, data: bytes) -> None:
    """Replace a file's content in one step, on the disk when this returns.

    There is one writer, so that the temporary file has one name: what a power cut leaves is written over.

    Raises:
        OSError: when the disk refuses; the old content, or rarely the new one, is then there, whole.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        disk.write(temporary, data)
        disk.sync(temporary)
        disk.rename(temporary, path)
    except OSError:
        # A file whose sync failed must not be synced again: the next try would be told that all is well.
        with contextlib.suppress(OSError):
            disk.unlink(temporary)
        raise
    disk.sync(path.parent)


def _opened(path: Path) -> int:
    """Open a regular file to read it.

    Raises:
        OSError: when it is none; a pipe is not waited for.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EISDIR, "no regular file", str(path))
    return descriptor


def _kind(entry: os.DirEntry[str]) -> Kind:
    if entry.is_file(follow_symlinks=False):
        return "file"
    return "directory" if entry.is_dir(follow_symlinks=False) else "other"
