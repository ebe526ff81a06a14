"""What lies in a slot, and whether it was ever committed: one file beside each slot.

It is the second trace of what the record says. It is written before the slot is touched, so that it never
vouches for what it does not describe, and it is marked as committed before the record says so. A record that
is lost or damaged is rebuilt from these files, by three rules:

1. Only what was committed once becomes committed again: what was merely fetched, or failed, proved nothing.
2. Of two such slots the one that was committed last counts, because the floor was raised with it. The other
   one is taken only where the files of the first are damaged: better an old model than none.
3. The floor and the refused releases are those of the last commit, so that neither is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vedette_edge.errors import UpdateError
from vedette_edge.manifest import MANIFEST_NAME, FileEntry
from vedette_edge.ota.record import MOST_REFUSED, Installed, Record, Refused
from vedette_edge.topics import Identifier
from vedette_edge.validation import describe_errors

__all__ = ["MAX_CONTENTS_BYTES", "Contents", "parse_contents", "rebuilt"]

MAX_CONTENTS_BYTES: Final = 2_097_152


class Contents(BaseModel):
    """Of one slot."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    schema_version: Literal[1] = 1
    model: Identifier
    installed: Installed
    files: tuple[FileEntry, ...] = Field(min_length=1, description="All of the slot, the manifest too.")
    committed: int = Field(default=0, ge=0, description="`seq` of a record that committed it; 0: none did.")
    floor: int = Field(default=0, ge=0, description="Of that record.")
    refused: tuple[Refused, ...] = Field(
        default=(), max_length=MOST_REFUSED, description="Of that record, or a later one."
    )

    @model_validator(mode="after")
    def _the_manifest_names_the_model(self) -> Contents:
        if (MANIFEST_NAME, self.installed.digest) not in [(one.path, one.sha256) for one in self.files]:
            raise ValueError(f"files: no {MANIFEST_NAME} with the digest of what is installed")
        return self

    def as_committed(self, record: Record) -> Contents:
        """Return it marked as committed by a record that is about to be written."""
        changes = {"committed": record.seq, "floor": record.floor, "refused": record.refused}
        return self.model_copy(update={"installed": record.committed} | changes)

    def says(self, record: Record) -> bool:
        """Tell whether a record could be rebuilt from it, but for what is under way."""
        said = (self.installed, self.floor, self.refused)
        return self.committed > 0 and said == (record.committed, record.floor, record.refused)


def parse_contents(document: bytes, path: Path) -> Contents:
    """Read what came from a file.

    Raises:
        UpdateError: when it does not say what lies in a slot.
    """
    if len(document) > MAX_CONTENTS_BYTES:
        raise UpdateError(f"{path} is not valid: it is longer than {MAX_CONTENTS_BYTES} bytes")
    try:
        return Contents.model_validate_json(document)
    except ValidationError as error:
        raise UpdateError(f"{path} is not valid: {describe_errors(error, Contents)}") from error


def rebuilt(model: str, known: Iterable[Contents], is_whole: Callable[[Contents], bool]) -> Record:
    """Return the record that the slots prove, idle; a fresh one where they prove nothing.

    Args:
        model: its name.
        known: what lies in the slots, as far as it could be read.
        is_whole: tells whether a slot's files are those that are named; asked for as few as possible.
    """
    once = sorted((one for one in known if one.committed), key=lambda one: one.committed, reverse=True)
    if not once:
        return Record(model=model)
    last = once[0]
    # Both, because a release may carry the very files of one that was committed before.
    refused = {(one.release, one.digest) for one in last.refused}
    proved = (one for one in once if (one.installed.release, one.installed.digest) not in refused)
    trusted = (one for one in proved if is_whole(one))
    committed = next((one.installed for one in trusted), None)
    return Record(
        model=model, seq=last.committed, committed=committed, floor=last.floor, refused=last.refused
    )
