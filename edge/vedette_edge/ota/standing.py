"""Where the update of each model stands, from what the updater and the agent have written; only read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from vedette_edge.errors import UpdateError
from vedette_edge.operation.table import duration, table
from vedette_edge.ota.evidence import Evidence, concerns, read_evidence
from vedette_edge.ota.layout import Store, evidence_path
from vedette_edge.ota.record import Installed, Record, read_record

__all__ = ["Standing", "lines_of", "read_standing"]

_HEAD = ("MODEL", "STATE", "FOR", "COMMITTED", "CANDIDATE", "SEEN", "LAST", "REFUSED")


class Standing(BaseModel):
    """One model."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    model: str
    record: Record | None = Field(default=None, description="Of the updater; null: no visit was made yet.")
    evidence: Evidence | None = Field(default=None, description="Of the agent, on the candidate.")
    trouble: str = Field(default="", description="Why one of them cannot be read.")


def read_standing(store: Store, state_dir: Path, model: str) -> Standing:
    """Return where the update of a model stands."""
    record, evidence, trouble = None, None, ""
    try:
        record = read_record(store.model(model).record)
        evidence = read_evidence(evidence_path(state_dir, model))
    except FileNotFoundError:
        pass
    except UpdateError as error:
        trouble = str(error)
    return Standing(model=model, record=record, evidence=evidence, trouble=trouble)


def lines_of(standings: Sequence[Standing], now: float, *, width: int) -> list[str]:
    """Return a table, and a line for each thing that needs words.

    Args:
        standings: of the models.
        now: Unix time.
        width: of the terminal, columns; longer lines are cut.
    """
    lines = table(_HEAD, [_row(one, now) for one in standings], width)
    for one in standings:
        reasons = [one.trouble]
        if one.record is not None:
            outcome = one.record.outcome
            reasons += [f"release {each.release} refused: {each.reason}" for each in one.record.refused]
            if outcome and outcome.reason and outcome.digest not in {x.digest for x in one.record.refused}:
                reasons.append(f"release {outcome.release} {outcome.result}: {outcome.reason}")
        lines += [f"{one.model}: {reason}" for reason in reasons if reason]
    return lines


def _row(standing: Standing, now: float) -> tuple[str, ...]:
    record = standing.record
    if record is None:
        return (standing.model, "?" if standing.trouble else "never visited", *["-"] * 6)
    outcome = record.outcome
    last = f"{outcome.release} {outcome.result} {duration(now - outcome.ts)} ago" if outcome else "-"
    return (
        record.model,
        record.state,
        duration(now - record.since) if record.since else "-",
        _installed(record.committed),
        _installed(record.candidate),
        _seen(record, standing.evidence),
        last,
        ", ".join(str(one.release) for one in record.refused) or "-",
    )


def _installed(what: Installed | None) -> str:
    return f"{what.release} in {what.slot}, {what.digest[:12]}" if what else "-"


def _seen(record: Record, evidence: Evidence | None) -> str:
    """Return what the agent has seen of the candidate in this state."""
    if evidence is None or not concerns(evidence, record):
        return "-"
    seen = f"{evidence.seconds:.0f} s, {evidence.verdicts} verdicts, {evidence.starts} starts"
    return f"{seen}, failed" if evidence.failed else seen
