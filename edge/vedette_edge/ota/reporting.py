"""What is said of a model's update to the control room. Pure: a record and evidence in, a report out."""

from __future__ import annotations

from typing import Protocol

from vedette_edge.ota.evidence import Evidence, ShadowFigures, concerns
from vedette_edge.ota.payloads import ModelReport
from vedette_edge.ota.record import Installed, Record

__all__ = ["Followed", "meaning", "model_report", "sentence"]


class Followed(Protocol):
    """A model store, as the agent sees it."""

    record: Record | None
    evidence: Evidence | None

    @property
    def name(self) -> str:
        """The model's name in the store."""
        ...


def model_report(followed: Followed, names: tuple[str, ...], runs: Installed | None) -> ModelReport:
    """Return where an update stands.

    Args:
        followed: the model store.
        names: those that the configuration gives the model.
        runs: what alarms now.
    """
    record, evidence = followed.record or Record(model=followed.name), followed.evidence
    tried = evidence if evidence is not None and concerns(evidence, record) else None
    return ModelReport(
        model=record.model,
        names=names,
        state=record.state,
        since=record.since,
        seq=record.seq,
        runs=runs,
        candidate=record.candidate,
        starts=tried.starts if tried else 0,
        failed=tried.failed if tried else "",
        shadow=_shadow(record, evidence),
        outcome=record.outcome,
    )


def sentence(report: ModelReport) -> str:
    """Return a report for people.

    >>> sentence(ModelReport(model="fights", names=("main",), state="idle", since=0, seq=0, runs=None))
    'fights: nothing runs, idle'
    """
    runs = f"release {report.runs.release} runs (slot {report.runs.slot})" if report.runs else "nothing runs"
    parts = [f"{report.model}: {runs}, {report.state}"]
    if report.candidate is not None:
        parts.append(f"release {report.candidate.release} is under way")
    if report.failed:
        parts.append(f"it failed: {report.failed}")
    if report.shadow is not None and report.state in ("shadow", "trial"):
        parts.append(f"its shadow agreed in {report.shadow.agreed} of {report.shadow.compared} verdicts")
    if report.outcome is not None and report.candidate is None:
        why = f": {report.outcome.reason}" if report.outcome.reason else ""
        parts.append(f"release {report.outcome.release} was {report.outcome.result}{why}")
    return ", ".join(parts)


def meaning(report: ModelReport) -> tuple[object, ...]:
    """Return what must be told when it changes; figures that only go on do not count."""
    return report.model, report.names, report.seq, report.runs, report.starts, report.failed


def _shadow(record: Record, evidence: Evidence | None) -> ShadowFigures | None:
    """Return the figures of a shadow, as long as they are of what is tried, what runs, or what was left."""
    if evidence is None or not evidence.shadow.compared:
        return None
    of = [one.digest for one in (record.candidate, record.committed, record.outcome) if one is not None]
    return evidence.shadow if evidence.digest in of else None
