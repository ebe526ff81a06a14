"""What the agent saw of a model that is being tried: one file a model, replaced whole; only it writes it.

A start is counted, and on the disk, before the candidate is loaded: a model that kills the agent as it loads
uses up its tries all the same.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from vedette_edge.ota.record import Record, Slot

__all__ = ["Evidence", "ShadowFigures", "may_start", "slot_to_run"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ShadowFigures(_Part):
    """How a candidate's verdicts compare with those of the model that alarms, on the same frames."""

    compared: int = Field(default=0, ge=0, description="Verdicts of both on the same stretch of a stream.")
    agreed: int = Field(default=0, ge=0, description="Of these, with the same label.")
    score_difference: float = Field(default=0.0, ge=0, description="Mean |difference| of the scores.")
    p95_ms: float = Field(default=0.0, ge=0, description="Of the candidate's inference, here.")


class Evidence(_Part):
    """Of one candidate."""

    schema_version: Literal[1] = 1
    digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="The candidate's.")
    phase: Literal["shadow", "trial"]
    starts: int = Field(default=0, ge=0, description="Of the agent with the candidate, in this phase.")
    seconds: float = Field(default=0.0, ge=0, description="Since this start, with frames and verdicts.")
    verdicts: int = Field(default=0, ge=0, description="Of the candidate, since this start.")
    failed: str = Field(default="", max_length=1000, description="Why it must not stay; the agent left it.")
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
    if evidence is None or (evidence.digest, evidence.phase) != (candidate.digest, record.state):
        return True
    return not evidence.failed and evidence.starts < record.tries
