"""What the agent saw of a model that is being tried: one file a model, replaced whole; only it writes it.

A start is counted, and on the disk, before the candidate is loaded: a model that kills the agent as it loads
uses up its tries all the same.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vedette_edge.errors import UpdateError
from vedette_edge.files import write_atomically
from vedette_edge.ota.record import Record, Slot
from vedette_edge.validation import describe_errors

__all__ = [
    "Evidence",
    "ShadowFigures",
    "Usual",
    "concerns",
    "counted",
    "may_start",
    "read_evidence",
    "slot_to_run",
    "with_failure",
    "write_evidence",
]

_MAX_BYTES = 65_536
_MOST_WORDS = 1000


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ShadowFigures(_Part):
    """How a candidate's verdicts compare with those of the model that alarms, on the same frames."""

    compared: int = Field(default=0, ge=0, description="Verdicts of both on the same stretch of a stream.")
    agreed: int = Field(default=0, ge=0, description="Of these, with the same label.")
    score_difference: float = Field(default=0.0, ge=0, description="Mean |difference| of the scores.")
    p95_ms: float = Field(default=0.0, ge=0, description="Of the candidate's inference, here.")


class Usual(_Part):
    """What the committed model took just before its candidate took over."""

    p95_ms: float = Field(ge=0, description="Of its inference.")
    dropped: float = Field(
        ge=0, le=1, description="Share of its cameras' frames for which there was no time."
    )


class Evidence(_Part):
    """Of one candidate."""

    schema_version: Literal[1] = 1
    digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="The candidate's.")
    phase: Literal["shadow", "trial"]
    starts: int = Field(default=0, ge=0, description="Of the agent with the candidate, in this phase.")
    seconds: float = Field(default=0.0, ge=0, description="Since this start, with frames and verdicts.")
    verdicts: int = Field(default=0, ge=0, description="Of the candidate, since this start.")
    p95_ms: float = Field(default=0.0, ge=0, description="Of the candidate's inference, lately.")
    usual: Usual | None = Field(default=None, description="Of the model before it; None: not known.")
    failed: str = Field(
        default="", max_length=_MOST_WORDS, description="Why it must not stay; the agent left it."
    )
    shadow: ShadowFigures = ShadowFigures()
    updated: float = Field(default=0.0, ge=0, description="Unix time.")


def slot_to_run(record: Record, evidence: Evidence | None) -> Slot | None:
    """Return the slot whose model alarms now; None where there is none to run.

    Args:
        record: of the updater.
        evidence: of this agent, before its present start is counted.
    """
    candidate, committed = record.candidate, record.committed
    if record.state == "trial" and candidate is not None and may_start(record, evidence):
        return candidate.slot
    return committed.slot if committed is not None else None


def may_start(record: Record, evidence: Evidence | None) -> bool:
    """Tell whether the candidate of a shadow or a trial may be started once more."""
    candidate = record.candidate
    if candidate is None or record.state not in ("shadow", "trial"):
        return False
    if evidence is None or not concerns(evidence, record):
        return True
    return not evidence.failed and evidence.starts < record.tries


def concerns(evidence: Evidence, record: Record) -> bool:
    """Tell whether evidence is of what the record has the agent try."""
    candidate = record.candidate
    return candidate is not None and (evidence.digest, evidence.phase) == (candidate.digest, record.state)


def counted(record: Record, evidence: Evidence | None, now: float) -> Evidence:
    """Return the evidence with one more start; it must be on the disk before the candidate is loaded.

    Args:
        record: in state `shadow` or `trial`.
        evidence: what was written before, of whatever.
        now: Unix time.
    """
    assert record.candidate is not None
    if evidence is not None and concerns(evidence, record):
        return evidence.model_copy(
            update={"starts": evidence.starts + 1, "seconds": 0.0, "verdicts": 0, "updated": now}
        )
    begun = Evidence.model_validate(
        {"digest": record.candidate.digest, "phase": record.state, "starts": 1, "updated": now}
    )
    if evidence is None or evidence.digest != begun.digest:
        return begun
    # What the shadow showed stays to be reported.
    return begun.model_copy(update={"shadow": evidence.shadow, "usual": evidence.usual})


def with_failure(record: Record, evidence: Evidence | None, reason: str, now: float) -> Evidence:
    """Return the evidence of a candidate that must not stay.

    Args:
        record: in state `shadow` or `trial`.
        evidence: what was written before, of whatever.
        reason: why; cut where it is long.
        now: Unix time.
    """
    if evidence is None or not concerns(evidence, record):
        evidence = counted(record, evidence, now).model_copy(update={"starts": 0})
    return evidence.model_copy(update={"failed": (reason or "no reason")[:_MOST_WORDS], "updated": now})


def read_evidence(path: Path) -> Evidence | None:
    """Read evidence; None where there is none.

    Raises:
        UpdateError: when it cannot be read, or is no valid evidence.
    """
    try:
        with path.open("rb") as file:
            return Evidence.model_validate_json(file.read(_MAX_BYTES))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UpdateError(f"{path}: cannot read it ({error.strerror})") from error
    except ValidationError as error:
        raise UpdateError(f"{path} is no valid evidence: {describe_errors(error, Evidence)}") from error


def write_evidence(path: Path, evidence: Evidence) -> None:
    """Write evidence; it is on the disk when this returns.

    Raises:
        UpdateError: when the disk refuses; what was written before is still there.
    """
    try:
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
            _flush(path.parent.parent)
        write_atomically(path, evidence.model_dump_json(indent=2).encode() + b"\n")
    except OSError as error:
        raise UpdateError(f"{path}: cannot write what was seen of an update ({error.strerror})") from error


def _flush(directory: Path) -> None:
    """Make the directory that was made in it last."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
