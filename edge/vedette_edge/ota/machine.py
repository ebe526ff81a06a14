"""What follows what in an update: pure, nothing here reads a clock, a disk or a network.

    idle -> check -> space -> fetch -> verify -> staged -> probe -> shadow -> switch -> trial -> commit
                                                                              or: trial -> rollback

commit and rollback lead to idle, and so does everything that goes wrong before the switch. Without a model to
stand beside, shadow is passed over. The rules:

1. The floor rises when a release is committed, and never falls; nothing at or below it is taken, unless the
   model was lost: then its release is.
2. What a release itself is to blame for (probe, shadow, trial) puts it among the `refused`: it is not tried
   again. What the network, the disk or the room on it is to blame for does not: a later visit tries again.
3. A candidate gives way to another release until it is whole; from `verify` on it is seen to its end.
4. Each probe is counted before it begins, because it may take the machine with it. Tries are bounded.

`check` changes nothing on the device: it need not be written, as a visit that was killed in it was idle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from vedette_edge.config.ota import OtaConfig
from vedette_edge.ota.evidence import Evidence
from vedette_edge.ota.record import MOST_REFUSED, Installed, Outcome, Record, Refused, State, other_slot

__all__ = [
    "Corrupt",
    "DoesNotFit",
    "Event",
    "FetchFailed",
    "Fetched",
    "Fits",
    "Look",
    "NothingNew",
    "Offered",
    "ProbeFailed",
    "Probed",
    "Probing",
    "Settled",
    "ShadowFailed",
    "ShadowPassed",
    "Switched",
    "TrialFailed",
    "TrialPassed",
    "Verified",
    "after",
    "judge_trial",
    "wanted",
]

_MOST_REASON = 1000  # characters


@dataclass(frozen=True, slots=True)
class Look:
    """The repository is about to be asked."""


@dataclass(frozen=True, slots=True)
class Offered:
    """It has a release that is `wanted`."""

    release: int
    digest: str
    campaign: str = ""
    tries: int = 3


@dataclass(frozen=True, slots=True)
class NothingNew:
    """It has none, or withdrew the one that is not whole yet."""


@dataclass(frozen=True, slots=True)
class Fits:
    """There is room for it."""


@dataclass(frozen=True, slots=True)
class DoesNotFit:
    """There is no room, or this device or agent is not one that it is for."""

    reason: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """Every file lies in the candidate's slot."""


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """A file did not come; `final`: to go on at the next visit is of no use."""

    reason: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Verified:
    """The slot is what the release names, and is on the disk."""


@dataclass(frozen=True, slots=True)
class Corrupt:
    """The slot is not, or no longer, what the release names."""

    reason: str


@dataclass(frozen=True, slots=True)
class Probing:
    """A probe is about to begin, for the first time or again after one that did not come to an end."""


@dataclass(frozen=True, slots=True)
class Probed:
    """It proved itself in a process of its own."""


@dataclass(frozen=True, slots=True)
class ProbeFailed:
    """It did not."""

    reason: str


@dataclass(frozen=True, slots=True)
class ShadowPassed:
    """It ran beside the committed model as it should."""


@dataclass(frozen=True, slots=True)
class ShadowFailed:
    """It did not."""

    reason: str


@dataclass(frozen=True, slots=True)
class Switched:
    """Everything is ready: the agent may run it."""


@dataclass(frozen=True, slots=True)
class TrialPassed:
    """It ran as it should for as long as it should."""


@dataclass(frozen=True, slots=True)
class TrialFailed:
    """It did not."""

    reason: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What a commit or a rollback asked for is done."""


Event: TypeAlias = (
    Look
    | Offered
    | NothingNew
    | Fits
    | DoesNotFit
    | Fetched
    | FetchFailed
    | Verified
    | Corrupt
    | Probing
    | Probed
    | ProbeFailed
    | ShadowPassed
    | ShadowFailed
    | Switched
    | TrialPassed
    | TrialFailed
    | Settled
)

_KNOWN_IN: Final[dict[type[Event], frozenset[State]]] = {
    Look: frozenset({"idle"}),
    Offered: frozenset({"check", "space", "fetch"}),
    NothingNew: frozenset({"check", "space", "fetch"}),
    Fits: frozenset({"space"}),
    DoesNotFit: frozenset({"space"}),
    Fetched: frozenset({"fetch"}),
    FetchFailed: frozenset({"fetch"}),
    Verified: frozenset({"verify"}),
    # The slot may be looked at once more before it is loaded for the first time, and before the agent has it.
    Corrupt: frozenset({"verify", "staged", "probe", "switch"}),
    Probing: frozenset({"staged", "probe"}),
    Probed: frozenset({"probe"}),
    ProbeFailed: frozenset({"probe"}),
    ShadowPassed: frozenset({"shadow"}),
    ShadowFailed: frozenset({"shadow"}),
    Switched: frozenset({"switch"}),
    TrialPassed: frozenset({"trial"}),
    TrialFailed: frozenset({"trial"}),
    Settled: frozenset({"commit", "rollback"}),
}


def wanted(record: Record, release: int, digest: str, *, part: bool) -> bool:
    """Tell whether a device takes a release.

    Args:
        record: of the model.
        release: its counter.
        digest: SHA-256 of its manifest.
        part: whether the rollout has reached this device; one without any model does not wait for that.
    """
    refused = any(one.digest == digest for one in record.refused)
    if record.committed is None:
        # The floor's own release was committed here once; its files may have been lost since.
        return release >= record.floor and not refused
    return part and release > max(record.floor, record.committed.release) and not refused


def after(record: Record, event: Event, now: float) -> Record:
    """Return the record that follows; `FetchFailed` that is not final leaves it as it is.

    Args:
        record: of the model.
        event: what happened.
        now: Unix time.

    Raises:
        ValueError: when the state does not know the event, or a release is offered that is not `wanted`.
    """
    if record.state not in _KNOWN_IN[type(event)]:
        raise ValueError(f"{record.model}: {type(event).__name__} means nothing in state {record.state}")
    match event:
        case Offered():
            return _with_candidate(record, event, now)
        case NothingNew() | Settled():
            return _moved(record, "idle", now, candidate=None, probes=0)
        case FetchFailed(final=False):
            return record
        case DoesNotFit(reason) | Corrupt(reason) | FetchFailed(reason):
            return _given_up(record, reason, now)
        case ProbeFailed(reason) | ShadowFailed(reason):
            return _refused(_given_up(record, reason, now), record.candidate, reason)
        case Probing():
            return _with_probe_counted(record, now)
        case Probed():
            return _moved(record, "shadow" if record.committed else "switch", now)
        case TrialPassed():
            return _committed(record, now)
        case TrialFailed(reason):
            ended = _moved(record, "rollback", now, outcome=_outcome(record, "rolled-back", reason, now))
            return _refused(ended, record.candidate, reason)
        case _:
            return _moved(record, _NEXT[type(event)], now)


_NEXT: Final[dict[type[Event], State]] = {
    Look: "check",
    Fits: "fetch",
    Fetched: "verify",
    Verified: "staged",
    ShadowPassed: "switch",
    Switched: "trial",
}


def judge_trial(
    record: Record, evidence: Evidence | None, config: OtaConfig, now: float
) -> ShadowPassed | ShadowFailed | TrialPassed | TrialFailed | None:
    """Say what came of a shadow or a trial; None: nothing yet.

    What passed has passed, however late it is looked at. A candidate of which nothing is heard within
    `config.trial_deadline` has failed.

    Args:
        record: in state shadow or trial.
        evidence: of the agent; that of another candidate or phase tells nothing.
        config: what it must show.
        now: Unix time.

    Raises:
        ValueError: in any other state.
    """
    candidate = record.candidate
    if candidate is None or record.state not in ("shadow", "trial"):
        raise ValueError(f"{record.model}: nothing is tried in state {record.state}")
    if evidence is not None and (evidence.digest, evidence.phase) != (candidate.digest, record.state):
        evidence = None
    shadow = record.state == "shadow"
    why = _why_failed(evidence, config, shadow)
    if not why and _has_passed(evidence, config, shadow):
        return ShadowPassed() if shadow else TrialPassed()
    if not why and now - record.since > config.trial_deadline:
        why = f"the {record.state} came to no end within {config.trial_deadline:g} s"
    if not why:
        return None
    return ShadowFailed(why) if shadow else TrialFailed(why)


def _why_failed(evidence: Evidence | None, config: OtaConfig, shadow: bool) -> str:
    if evidence is None:
        return ""
    if evidence.failed or not shadow or evidence.seconds < config.shadow or not evidence.shadow.compared:
        return evidence.failed
    agreement = evidence.shadow.agreed / evidence.shadow.compared
    if agreement >= config.least_agreement:
        return ""
    return (
        f"agreed with the committed model in {agreement:.1%} of {evidence.shadow.compared} verdicts, "
        f"at least {config.least_agreement:.1%} are asked for"
    )


def _has_passed(evidence: Evidence | None, config: OtaConfig, shadow: bool) -> bool:
    if shadow and config.shadow == 0:
        return True
    if evidence is None or evidence.verdicts == 0:
        return False
    if not shadow:
        return evidence.seconds >= config.trial
    compared = evidence.shadow.compared > 0 or config.least_agreement == 0
    return evidence.seconds >= config.shadow and compared


def _moved(record: Record, state: State, now: float, **changes: Any) -> Record:
    """Return it in another state; validated, which `model_copy` alone would not do."""
    fields = {name: getattr(record, name) for name in type(record).model_fields}
    return Record(**(fields | {"state": state, "since": max(now, 0.0)} | changes))


def _with_candidate(record: Record, offered: Offered, now: float) -> Record:
    if not wanted(record, offered.release, offered.digest, part=True):
        raise ValueError(f"{record.model}: release {offered.release} is not wanted, floor {record.floor}")
    candidate = Installed(
        slot=other_slot(record), release=offered.release, digest=offered.digest, campaign=offered.campaign
    )
    return _moved(record, "space", now, candidate=candidate, probes=0, tries=offered.tries)


def _with_probe_counted(record: Record, now: float) -> Record:
    if record.probes < record.tries:
        return _moved(record, "probe", now, probes=record.probes + 1)
    reason = f"{record.probes} probes did not come to an end; each took the updater or the machine with it"
    return _refused(_given_up(record, reason, now), record.candidate, reason)


def _given_up(record: Record, reason: str, now: float) -> Record:
    """Return it idle, with an outcome; the release may be offered again."""
    outcome = _outcome(record, "refused", reason, now)
    return _moved(record, "idle", now, candidate=None, probes=0, outcome=outcome)


def _refused(record: Record, candidate: Installed | None, reason: str) -> Record:
    """Return it with a candidate that is not tried again; of many such the oldest is forgotten."""
    assert candidate is not None
    others = [one for one in record.refused if one.digest != candidate.digest]
    one = Refused(release=candidate.release, digest=candidate.digest, reason=_shortened(reason))
    return record.model_copy(update={"refused": (*others, one)[-MOST_REFUSED:]})


def _committed(record: Record, now: float) -> Record:
    assert record.candidate is not None
    return _moved(
        record,
        "commit",
        now,
        committed=record.candidate,
        candidate=None,
        probes=0,
        floor=max(record.floor, record.candidate.release),
        outcome=_outcome(record, "committed", "", now),
    )


def _outcome(record: Record, result: Any, reason: str, now: float) -> Outcome:
    candidate = record.candidate
    assert candidate is not None
    return Outcome(
        release=candidate.release,
        digest=candidate.digest,
        campaign=candidate.campaign,
        result=result,
        reason=_shortened(reason),
        ts=max(now, 0.0),
    )


def _shortened(reason: str) -> str:
    """Return it as the record can hold it: names of files may have bytes that are no UTF-8."""
    return reason.encode("utf-8", "backslashreplace").decode()[:_MOST_REASON]
