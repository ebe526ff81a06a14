"""The store of one model: two slots, one record, one file under way. What runs is never written to.

The record is the switch. Its slot `committed` is written to by nothing here; everything that changes it is on
the disk before the record says so:

1. `prepare` says beside the other slot what shall lie in it (see `contents`), and only then touches it.
2. `verify` proves each file and syncs it, before a record says `staged`.
3. `write` first marks beside the slot that it was committed, then replaces the record: temporary file, sync,
   rename, sync of the directory.
4. A record that is lost or damaged is set aside and rebuilt from the slots that were committed.

A disk that refuses ends in one `UpdateError`; what was committed before is committed still. There must be one
writer at a time; whoever reads uses `peek`.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from vedette_edge.bundle import Bundle, open_bundle
from vedette_edge.errors import UpdateError
from vedette_edge.manifest import FileEntry
from vedette_edge.ota import slots
from vedette_edge.ota.by_hand import named_files
from vedette_edge.ota.contents import MAX_CONTENTS_BYTES, Contents, parse_contents, rebuilt
from vedette_edge.ota.disk import Disk, Kind, OsDisk, replace_file
from vedette_edge.ota.layout import ModelPlace
from vedette_edge.ota.record import (
    MAX_RECORD_BYTES,
    RECORD_NAME,
    SLOTS,
    Installed,
    Record,
    Slot,
    other_slot,
    parse_record,
)
from vedette_edge.ota.release import Release

__all__ = ["ModelStore"]

MOST_DAMAGED: Final = 4
_DAMAGED = f"{RECORD_NAME}.damaged-"
# What a bad sector, a broken file system or a wrong kind of file says, as opposed to a wrong user.
_UNREADABLE = frozenset({errno.EIO, errno.EBADMSG, errno.EUCLEAN, errno.ELOOP, errno.EISDIR, errno.ENXIO})


class ModelStore:
    """Where the models of one name lie."""

    def __init__(self, place: ModelPlace, disk: Disk | None = None) -> None:
        """Take a directory, which need not be there yet.

        Args:
            place: its last part is the model's name.
            disk: the real one by default.
        """
        self._place = place
        self._disk: Disk = OsDisk() if disk is None else disk

    def record(self) -> Record:
        """Return where the update stands, on the disk; a fresh record where there is no trace of a model.

        A damaged record is set aside, and replaced by what the slots prove. A slot that cannot be read just
        now is no reason to give up the model in it: that is an error, and nothing is replaced.

        Raises:
            UpdateError: when the disk refuses.
        """
        with self._refusing():
            record, damaged = self._read()
            if record is not None:
                # Whoever wrote it may have been killed before this.
                self._disk.sync(self._place.directory)
                return record
            if damaged:
                self._set_aside()
            record = self._rebuilt(strict=True)
            return self.write(record) if record.seq else record

    def peek(self) -> Record:
        """Return what `record` would, and write nothing: for whoever only reads, such as the agent.

        It makes do with the slot that can be read.

        Raises:
            UpdateError: when the disk refuses.
        """
        with self._refusing():
            record, _ = self._read()
            return record or self._rebuilt(strict=False)

    def write(self, record: Record) -> Record:
        """Replace the record; return it as written, with the next `seq`. It is on the disk then.

        Raises:
            UpdateError: when the disk refuses; the record before, or rarely this one, is then there, whole.
        """
        record = record.model_copy(update={"seq": record.seq + 1})
        with self._refusing():
            self._make(self._place.directory)
            self._mark(record)
            replace_file(self._disk, self._place.record, _document(record))
        return record

    def prepare(self, record: Record, release: Release) -> list[FileEntry]:
        """Bring the candidate's slot as near to its release as can be without fetching anything.

        What lies there and does not belong goes, what the slots hold by hash is linked. It may be asked again
        at any time, and leaves alone what is there and right.

        Returns:
            What must be fetched, each hash once, in the release's order.

        Raises:
            UpdateError: when the disk refuses.
            ValueError: when the release is not the record's candidate.
        """
        candidate = record.candidate
        if candidate is None or (candidate.release, candidate.digest) != (release.release, release.digest):
            raise ValueError(f"{self._place.name}: release {release.release} is no candidate")
        with self._refusing():
            return self._prepare(record, candidate, release.files)

    def still_to_fetch(self, missing: list[FileEntry]) -> int:
        """Return the bytes that are still to be written for these files; partial ones count.

        Raises:
            UpdateError: when the disk refuses.
        """
        with self._refusing():
            partial = self._disk.names(self._place.partial) if missing else {}
            begun = sum(self._disk.size(self.partial(one)) for one in missing if one.sha256 in partial)
            return max(0, sum(one.bytes for one in missing) - begun)

    def partial(self, entry: FileEntry) -> Path:
        """Return where a file lies while it is fetched."""
        return self._place.partial / entry.sha256

    def place(self, slot: Slot, entry: FileEntry) -> None:
        """Make a whole partial the file of a slot, under each name that has its hash.

        Raises:
            UpdateError: when the disk refuses.
        """
        with self._refusing():
            contents = self._contents(slot)
            files = contents.files if contents else (entry,)
            slots.place_file(self._disk, self.partial(entry), self._place.slot(slot), entry, files)

    def verify(self, slot: Slot, release: Release) -> None:
        """Prove that a slot is a release, file by file, nothing else, no links.

        Its files are read-only and on the disk then.

        Raises:
            UpdateError: when it is not, or the disk refuses.
        """
        with self._refusing():
            slots.check(self._disk, self._place.slot(slot), release.files)

    def free(self) -> int:
        """Return the bytes that may still be written.

        Raises:
            UpdateError: when the disk refuses.
        """
        with self._refusing():
            self._make(self._place.directory)
            return self._disk.free(self._place.directory)

    def adopt(self, bundle: Path, now: float) -> Record:
        """Make a bundle the committed model by hand, as release 0; the floor stays.

        Only what its manifest names is taken. What runs stays whole until the new one is.

        Args:
            bundle: its directory, outside of the store.
            now: Unix time.

        Raises:
            BundleError: when it is no bundle, or a file is not what its manifest names.
            UpdateError: when an update is under way, or the disk refuses.
        """
        opened, record = open_bundle(bundle), self.record()
        if record.state != "idle":
            raise UpdateError(
                f"{self._place.directory}: an update is under way (state {record.state}), expected none; let "
                "it come to its end with 'edge-agent ota look', then adopt the bundle"
            )
        installed = Installed(slot=other_slot(record), release=0, digest=opened.digest)
        with self._refusing():
            if record.committed and record.committed.digest == opened.digest:
                contents = self._contents(record.committed.slot)
                if contents is not None and self._holds(contents):
                    return record
            self._copy(opened, record, installed)
        return self.write(record.model_copy(update={"committed": installed, "since": max(now, 0.0)}))

    def tidy(self, record: Record) -> None:
        """Remove what no state needs: leftovers of broken writes, and partials where nothing is under way.

        The slot that is not committed stays: its files are what the next release may be linked from.

        Raises:
            UpdateError: when the disk refuses.
        """
        with self._refusing():
            directory = self._place.directory
            left = [name for name in self._names(directory) if name.startswith(".") and name.endswith(".tmp")]
            for name in left:
                self._disk.unlink(directory / name)
            if record.candidate is None:
                self._drop_partials(keep=frozenset())

    def _prepare(self, record: Record, installed: Installed, files: tuple[FileEntry, ...]) -> list[FileEntry]:
        slot = self._place.slot(installed.slot)
        for directory in (self._place.directory, self._place.partial, slot):
            self._make(directory)
        contents = Contents(model=self._place.name, installed=installed, files=files)
        if self._contents(installed.slot) != contents:
            self._replace(contents)
        committed = self._contents(record.committed.slot) if record.committed else None
        known = committed.files if committed else ()
        beside = self._place.slot(committed.installed.slot) if committed else slot
        missing = slots.fill(self._disk, slot, files, [(beside / one.path, one) for one in known])
        self._drop_partials(keep={one.sha256 for one in missing})
        return missing

    def _copy(self, bundle: Bundle, record: Record, installed: Installed) -> None:
        files = named_files(bundle)
        for entry in self._prepare(record, installed, files):
            partial = self.partial(entry)
            self._disk.write(partial, bundle.read(entry))
            slots.place_file(self._disk, partial, self._place.slot(installed.slot), entry, files)
        slots.check(self._disk, self._place.slot(installed.slot), files)

    def _mark(self, record: Record) -> None:
        """Say beside the slots what a record that is about to be written says of them."""
        candidate, committed = record.candidate, record.committed
        if candidate is not None:
            contents = self._contents(candidate.slot)
            # Marked, and then cut off before the record: what followed may have been a rollback.
            if contents and contents.committed and contents.installed.digest == candidate.digest:
                self._replace(contents.model_copy(update={"committed": 0}))
        if committed is not None:
            contents = self._contents(committed.slot)
            if contents and contents.installed.digest == committed.digest and not contents.says(record):
                self._replace(contents.as_committed(record))

    def _replace(self, contents: Contents) -> None:
        replace_file(self._disk, self._place.contents(contents.installed.slot), _document(contents))

    def _read(self) -> tuple[Record | None, bool]:
        """Return the record, and whether there is one that cannot be read."""
        try:
            document = self._disk.read(self._place.record, MAX_RECORD_BYTES + 1)
            record = parse_record(document, self._place.record)
        except FileNotFoundError:
            return None, False
        except UpdateError:
            return None, True
        except OSError as error:
            if error.errno not in _UNREADABLE:
                raise
            return None, True
        return (record, False) if record.model == self._place.name else (None, True)

    def _set_aside(self) -> None:
        """Keep a damaged record under another name; of many such, the last one makes room."""
        names = self._disk.names(self._place.directory)
        free = (number for number in range(1, MOST_DAMAGED) if f"{_DAMAGED}{number}" not in names)
        number = next(free, MOST_DAMAGED)
        self._disk.rename(self._place.record, self._place.directory / f"{_DAMAGED}{number}")
        self._disk.sync(self._place.directory)

    def _rebuilt(self, *, strict: bool) -> Record:
        """Return what the slots prove; `strict`: what cannot be read is an error, not a lack of proof."""
        known = [self._strict_contents(slot) if strict else self._contents(slot) for slot in SLOTS]
        found = [one for one in known if one is not None]
        return rebuilt(self._place.name, found, lambda one: self._holds(one, strict=strict))

    def _contents(self, slot: Slot) -> Contents | None:
        """Return what lies in a slot; None where that is not known, because it cannot be read too."""
        try:
            return self._strict_contents(slot)
        except OSError as error:
            if error.errno not in _UNREADABLE:
                raise
            return None

    def _strict_contents(self, slot: Slot) -> Contents | None:
        path = self._place.contents(slot)
        try:
            contents = parse_contents(self._disk.read(path, MAX_CONTENTS_BYTES + 1), path)
        except (UpdateError, FileNotFoundError):
            return None
        fits = (contents.model, contents.installed.slot) == (self._place.name, slot)
        return contents if fits else None

    def _holds(self, contents: Contents, *, strict: bool = True) -> bool:
        """Tell whether a slot holds what is said to lie in it; only looks."""
        try:
            slots.check(self._disk, self._place.slot(contents.installed.slot), contents.files, sync=False)
        except (UpdateError, FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            if strict or error.errno not in _UNREADABLE:
                raise
            return False
        return True

    def _drop_partials(self, keep: Collection[str]) -> None:
        for name in self._names(self._place.partial):
            if name not in keep:
                self._disk.unlink(self._place.partial / name)

    def _names(self, directory: Path) -> dict[str, Kind]:
        try:
            return self._disk.names(directory)
        except FileNotFoundError:
            return {}

    def _make(self, directory: Path) -> None:
        """Make a directory and those above it; its name is on the disk, whoever made it."""
        self._make_missing(directory)
        self._disk.sync(directory.parent)

    def _make_missing(self, directory: Path) -> None:
        try:
            self._disk.names(directory)
        except FileNotFoundError:
            self._make_missing(directory.parent)
            self._disk.make_directory(directory)
            self._disk.sync(directory.parent)

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UpdateError(
                f"{self._place.directory}: the disk refuses ({error.strerror or error}); what runs goes on. "
                "Check that the disk is neither full nor failing, and that this user may write there"
            ) from error


def _document(part: BaseModel) -> bytes:
    return part.model_dump_json(indent=2).encode() + b"\n"
