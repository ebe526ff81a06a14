"""The files of a slot: brought to what a release names, and proved to be that. Knows nothing of records.

Directories are synced before a function here returns, so that what it did outlives a power cut; files that it
writes or finds are synced by `check`. What is there already and right is left as it is: all of it can be done
again after a cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from vedette_edge.errors import UpdateError
from vedette_edge.manifest import FileEntry
from vedette_edge.ota.disk import Disk, Kind

__all__ = ["check", "fill", "make_directories", "place_file"]


def fill(
    disk: Disk, slot: Path, files: Iterable[FileEntry], known: Iterable[tuple[Path, FileEntry]]
) -> list[FileEntry]:
    """Bring a slot as near to a release as can be without fetching; return what is missing, each hash once.

    What does not belong there goes, what is damaged too; what is known elsewhere is linked.

    Args:
        disk: where.
        slot: its directory; it is there.
        files: what shall lie in it.
        known: files elsewhere, whose hashes are believed only after a look at them.

    Raises:
        OSError: when the disk refuses.
    """
    wanted = {entry.path: entry for entry in files}
    kept = _without_strangers(disk, slot, wanted)
    sources: dict[str, list[tuple[Path, FileEntry]]] = {}
    for path, entry in [*((slot / name, wanted[name]) for name in kept), *known]:
        sources.setdefault(entry.sha256, []).append((path, entry))
    missing: dict[str, FileEntry] = {}
    for name, entry in wanted.items():
        if name in kept:
            continue
        source = next((path for path, one in sources.get(entry.sha256, ()) if _is(disk, path, one)), None)
        if source is None:
            missing.setdefault(entry.sha256, entry)
            continue
        make_directories(disk, (slot / name).parent, slot)
        disk.link(source, slot / name)
    _sync_directories(disk, slot)
    return list(missing.values())


def place_file(disk: Disk, whole: Path, slot: Path, entry: FileEntry, files: Iterable[FileEntry]) -> None:
    """Make a whole file the slot's, under each name that has its hash.

    It stays as writable as it was until `check`: a cut may bring it back under its old name, to be resumed.

    Args:
        disk: where.
        whole: the file; it has its name no longer.
        slot: its directory.
        entry: what it is.
        files: what shall lie in the slot.

    Raises:
        OSError: when the disk refuses.
    """
    target = slot / entry.path
    for one in files:
        if one.sha256 == entry.sha256 and one.path != entry.path:
            _replace_by_link(disk, whole, slot, slot / one.path)
    make_directories(disk, target.parent, slot)
    disk.rename(whole, target)
    disk.sync(target.parent)
    disk.sync(whole.parent)


def check(disk: Disk, slot: Path, files: Iterable[FileEntry], *, sync: bool = True) -> None:
    """Prove that a slot holds these files and nothing else, and that they are read-only and on the disk.

    Args:
        disk: where.
        slot: its directory.
        files: what shall lie in it.
        sync: False: only look.

    Raises:
        UpdateError: when a file is missing, is another one, a link, or more than is named.
        OSError: when the disk refuses.
    """
    wanted = {entry.path: entry for entry in files}
    found = dict(_walk(disk, slot))
    for name, kind in found.items():
        if kind == "other" or (kind == "file" and name not in wanted):
            raise UpdateError(f"{slot / name} is no file of the release; the slot is filled anew")
    for name, entry in wanted.items():
        path = slot / name
        if found.get(name) != "file":
            raise UpdateError(f"{path} is missing; it is fetched again")
        if sync:
            disk.protect(path)
            disk.sync(path)
        length, sha256 = disk.digest(path)
        if (length, sha256) != (entry.bytes, entry.sha256):
            raise UpdateError(
                f"{path}: expected {entry.bytes} bytes with sha256 {entry.sha256[:12]}..., found {length} "
                f"bytes with {sha256[:12]}...; it is fetched again"
            )
    if sync:
        _sync_directories(disk, slot)


def make_directories(disk: Disk, directory: Path, root: Path) -> None:
    """Make a directory and those above it, below `root`, which is there; their names are synced.

    Raises:
        OSError: when the disk refuses.
    """
    above = root
    for part in directory.relative_to(root).parts:
        if part not in disk.names(above):
            disk.make_directory(above / part)
            disk.sync(above)
        above = above / part


def _without_strangers(disk: Disk, slot: Path, wanted: dict[str, FileEntry]) -> set[str]:
    """Remove what does not belong into a slot; return the names of the files that do."""
    parents = {str(parent) for name in wanted for parent in PurePosixPath(name).parents}
    kept = set()
    for name, kind in sorted(_walk(disk, slot), reverse=True):
        if kind == "directory":
            if name not in parents:
                disk.remove_directory(slot / name)
        elif kind == "file" and name in wanted and _is(disk, slot / name, wanted[name]):
            kept.add(name)
        else:
            disk.unlink(slot / name)
    return kept


def _replace_by_link(disk: Disk, whole: Path, slot: Path, target: Path) -> None:
    make_directories(disk, target.parent, slot)
    if target.name in disk.names(target.parent):
        disk.unlink(target)
    disk.link(whole, target)
    disk.sync(target.parent)


def _is(disk: Disk, path: Path, entry: FileEntry) -> bool:
    try:
        return disk.digest(path) == (entry.bytes, entry.sha256)
    except OSError:
        # What cannot be read is of no use here, and is fetched.
        return False


def _walk(disk: Disk, directory: Path, within: str = "") -> Iterator[tuple[str, Kind]]:
    """Yield all that lies in a directory, by its path with forward slashes; a directory before its files."""
    for name, kind in disk.names(directory).items():
        yield within + name, kind
        if kind == "directory":
            yield from _walk(disk, directory / name, f"{within}{name}/")


def _sync_directories(disk: Disk, slot: Path) -> None:
    for name, kind in [*_walk(disk, slot)]:
        if kind == "directory":
            disk.sync(slot / name)
    disk.sync(slot)
