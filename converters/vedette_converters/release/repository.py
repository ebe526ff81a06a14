"""The files of a repository: what is served in DIR, and what is not in DIR.work beside it.

Every file appears whole. A file that a version or a digest names is never changed once something refers to
it; only timestamp.json is, and with it a reader goes from one state to the next.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from vedette_converters.release.roles import Roles, delegated
from vedette_edge.errors import UpdateError, UsageError
from vedette_edge.files import write_atomically
from vedette_edge.manifest import FileEntry

__all__ = ["Disk", "OsDisk", "Repository", "load"]

_MOST_BYTES = 5_000_000  # as ngclient takes of targets
_CHUNK = 1_048_576
_VERSIONED = re.compile(r"(\d+)\.root\.json")


class Disk(Protocol):
    """The writes of a repository; each is one step that is done or not."""

    def write(self, path: Path, data: bytes) -> None:
        """Replace a file in one step."""
        ...

    def copy(self, source: Path, entry: FileEntry, path: Path) -> None:
        """Make a file in one step from what `entry` names.

        Raises:
            UpdateError: when the source is not that.
        """
        ...

    def remove(self, path: Path) -> None:
        """Remove a file, if it is there."""
        ...


class OsDisk:
    """The real one; each file is flushed before it gets its name."""

    def write(self, path: Path, data: bytes) -> None:
        """Replace a file in one step."""
        _make(path.parent)
        write_atomically(path, data)

    def copy(self, source: Path, entry: FileEntry, path: Path) -> None:
        """Make a file in one step from what `entry` names; links are refused."""
        _make(path.parent)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        digest, length = hashlib.sha256(), 0
        try:
            descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(descriptor, "rb") as reader, temporary.open("wb") as writer:
                while chunk := reader.read(_CHUNK):
                    digest.update(chunk)
                    length += len(chunk)
                    writer.write(chunk)
                writer.flush()
                os.fsync(writer.fileno())
            if (length, digest.hexdigest()) != (entry.bytes, entry.sha256):
                raise UpdateError(
                    f"{source} changed while it was read; leave the bundle alone, and add it again"
                )
            temporary.replace(path)
            _flush(path.parent)
        finally:
            temporary.unlink(missing_ok=True)

    def remove(self, path: Path) -> None:
        """Remove a file, if it is there."""
        path.unlink(missing_ok=True)


def _make(directory: Path) -> None:
    """Make a directory, and those above it, so that a power cut does not take them away again."""
    if not directory.is_dir():
        _make(directory.parent)
        directory.mkdir(exist_ok=True)
        _flush(directory.parent)


def _flush(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Repository:
    """A repository in a directory."""

    def __init__(self, directory: Path, disk: Disk | None = None) -> None:
        """Use `directory`; nothing is read yet."""
        directory = directory.resolve()
        self.directory = directory
        self.disk = disk or OsDisk()
        self.metadata = directory / "metadata"
        self.targets = directory / "targets"
        self.work = directory.with_name(f"{directory.name}.work")

    @property
    def device_root(self) -> Path:
        """What a new device is given."""
        return self.directory / "root.json"

    def waiting(self, role: str) -> Path:
        """Return where metadata waits that is not published yet."""
        return self.work / "staged" / f"{role}.json"

    def is_there(self) -> bool:
        """Tell whether somebody began a repository here."""
        return self.metadata.exists() or self.work.exists()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every other writer out while the block runs.

        Raises:
            UsageError: when there is no repository, or another writer is at work.
            UpdateError: when the disk refuses.
        """
        if not self.is_there():
            raise UsageError(
                f"{self.directory} is no repository: make one with  vedette-convert release init"
            )
        try:
            self.work.mkdir(parents=True, exist_ok=True)
            with (self.work / "lock").open("wb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise UsageError(
                        f"{self.directory}: another command is writing it; wait for it"
                    ) from None
                yield
        except OSError as error:
            raise UpdateError(
                f"{error.filename or self.directory}: {error.strerror}; nothing is half-written, mend that "
                "and call it again"
            ) from error

    def published(self) -> Roles:
        """Return what a client finds now.

        Raises:
            UpdateError: when a file is missing or damaged.
        """
        versions = [int(found[1]) for path in self._files() if (found := _VERSIONED.fullmatch(path.name))]
        if not versions:
            return Roles()
        root: Metadata[Root] = load(self.metadata / f"{max(versions)}.root.json")
        if not (self.metadata / "timestamp.json").exists():
            return Roles(root=root)
        timestamp: Metadata[Timestamp] = load(self.metadata / "timestamp.json")
        snapshot: Metadata[Snapshot] = self._named("snapshot", timestamp.signed.snapshot_meta.version)
        versions_of = {name: meta.version for name, meta in snapshot.signed.meta.items()}
        try:
            targets: Metadata[Targets] = self._named("targets", versions_of["targets.json"])
            fleets = {fleet: self._named(fleet, versions_of[f"{fleet}.json"]) for fleet in delegated(targets)}
        except KeyError as error:
            raise UpdateError(
                f"{self.metadata}: the snapshot does not name {error}; restore it from a copy"
            ) from error
        return Roles(root, targets, fleets, snapshot, timestamp)

    def document(self, role: str, version: int) -> bytes:
        """Return published metadata as it lies there, byte for byte.

        Raises:
            OSError: when it cannot be read.
        """
        return (self.metadata / f"{version}.{role}.json").read_bytes()

    def staged(self) -> Roles:
        """Return what is not published yet.

        Raises:
            UpdateError: when a file is damaged.
        """
        found = Roles()
        with suppress(FileNotFoundError):
            for path in sorted(self.waiting("x").parent.iterdir()):
                if path.suffix == ".json":
                    found = found.having(path.stem, load(path))
        return found

    def stage(self, role: str, metadata: Metadata[Any]) -> None:
        """Keep metadata until it is published."""
        self.disk.write(self.waiting(role), metadata.to_bytes())

    def earlier(self, role: str) -> Iterator[Metadata[Targets]]:
        """Yield each version of a fleet's role that was published, the newest first."""
        numbered = re.compile(rf"(\d+)\.{re.escape(role)}\.json")
        versions = (int(found[1]) for path in self._files() if (found := numbered.fullmatch(path.name)))
        for version in sorted(versions, reverse=True):
            yield self._named(role, version)

    def target(self, name: str, sha256: str) -> Path:
        """Return the file that is served as a target, as consistent snapshots name it."""
        directory, _, last = name.rpartition("/")
        return self.targets / directory / f"{sha256}.{last}"

    def _files(self) -> list[Path]:
        return list(self.metadata.iterdir()) if self.metadata.is_dir() else []

    def _named(self, role: str, version: int) -> Metadata[Any]:
        return load(self.metadata / f"{version}.{role}.json")


def load(path: Path) -> Metadata[Any]:
    """Read metadata; who signed it is not looked at.

    Raises:
        UpdateError: when it cannot be read, or is no metadata.
    """
    try:
        with path.open("rb") as file:
            return Metadata.from_bytes(file.read(_MOST_BYTES + 1))
    except OSError as error:
        raise UpdateError(f"{path}: cannot read this metadata ({error.strerror}); restore it") from error
    except DeserializationError as error:
        raise UpdateError(f"{path} is no metadata ({error}); restore it from a copy") from error
