"""Where an update of one model stands: one file, replaced whole, that survives what happens to the process.

Only the updater writes it. The agent reads it to know which slot to run: `committed` in every state but
`trial`, where `candidate` runs until it has failed (see `evidence`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vedette_edge.errors import UpdateError
from vedette_edge.topics import Identifier
from vedette_edge.validation import describe_errors

__all__ = [
    "MAX_RECORD_BYTES",
    "MOST_REFUSED",
    "RECORD_NAME",
    "SLOTS",
    "Installed",
    "Outcome",
    "Record",
    "Refused",
    "Slot",
    "State",
    "other_slot",
    "parse_record",
    "read_record",
]

RECORD_NAME: Final = "record.json"
MAX_RECORD_BYTES: Final = 262_144
MOST_REFUSED: Final = 16
_SHA256 = r"^[0-9a-f]{64}$"

Slot: TypeAlias = Literal["a", "b"]
SLOTS: Final[tuple[Slot, Slot]] = ("a", "b")
State: TypeAlias = Literal[
    "idle",  # nothing under way
    "check",  # asks the repository
    "space",  # is there room, before the first byte
    "fetch",  # files come into the other slot
    "verify",  # each is what the release names
    "staged",  # whole, on the disk, not yet tried
    "probe",  # in a process of its own: golden samples, time, memory
    "shadow",  # beside the old one, on live frames, without alarms
    "switch",  # the next record lets the agent run it
    "trial",  # it runs; the old one waits
    "commit",  # it stays
    "rollback",  # the old one stays, or is back
]
_WITHOUT_CANDIDATE: Final = frozenset({"idle", "check", "commit"})


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Installed(_Part):
    """A release in a slot."""

    slot: Slot
    release: int = Field(ge=0, description="0: put there by hand, before any release.")
    digest: str = Field(pattern=_SHA256, description="SHA-256 of the bundle's manifest.")
    campaign: str = Field(default="", max_length=64)


class Refused(_Part):
    """A release that this device does not take again."""

    release: int = Field(ge=1)
    digest: str = Field(pattern=_SHA256)
    reason: str = Field(max_length=1000)


class Outcome(_Part):
    """How the last update ended."""

    release: int = Field(ge=1)
    digest: str = Field(pattern=_SHA256)
    campaign: str = Field(default="", max_length=64)
    result: Literal["committed", "refused", "rolled-back"]
    reason: str = Field(default="", max_length=1000)
    ts: float = Field(ge=0, description="Unix time.")


class Record(_Part):
    """An update of one model."""

    schema_version: Literal[1] = 1
    model: Identifier
    seq: int = Field(default=0, ge=0, description="Rises with each writing.")
    state: State = "idle"
    since: float = Field(default=0.0, ge=0, description="Unix time at which the state began.")
    committed: Installed | None = Field(default=None, description="What a rollback comes back to.")
    candidate: Installed | None = Field(
        default=None, description="What is under way, in the other slot; None in idle, check and commit."
    )
    tries: int = Field(default=3, ge=1, le=100, description="Starts of the agent that a trial may take.")
    probes: int = Field(default=0, ge=0, description="Of the candidate, begun so far; at most `tries`.")
    floor: int = Field(default=0, ge=0, description="Highest release that was committed.")
    refused: tuple[Refused, ...] = Field(default=(), max_length=MOST_REFUSED)
    outcome: Outcome | None = None

    @model_validator(mode="after")
    def _candidate_fits_the_state(self) -> Record:
        if (self.candidate is None) != (self.state in _WITHOUT_CANDIDATE):
            raise ValueError(f"state {self.state} {'with' if self.candidate else 'without'} a candidate")
        if self.candidate and self.committed and self.candidate.slot == self.committed.slot:
            raise ValueError("the candidate is in the slot of the committed model")
        return self


def other_slot(record: Record) -> Slot:
    """Return the slot that may be written to: the one that does not hold the committed model."""
    return "b" if record.committed is not None and record.committed.slot == "a" else "a"


def parse_record(document: bytes, path: Path) -> Record:
    """Read a record that came from a file.

    Raises:
        UpdateError: when it is no valid record.
    """
    if len(document) > MAX_RECORD_BYTES:
        raise UpdateError(f"{path} is no valid record: it is longer than {MAX_RECORD_BYTES} bytes")
    try:
        return Record.model_validate_json(document)
    except ValidationError as error:
        raise UpdateError(f"{path} is no valid record: {describe_errors(error, Record)}") from error


def read_record(path: Path) -> Record:
    """Read a record.

    Raises:
        FileNotFoundError: when there is none.
        UpdateError: when it cannot be read, or is no valid record.
    """
    try:
        with path.open("rb") as file:
            return parse_record(file.read(MAX_RECORD_BYTES + 1), path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UpdateError(f"{path}: cannot read it ({error.strerror})") from error
