"""Starts, widens, pauses, resumes and aborts the rollout of a release, and keeps where each stands.

The state is on the disk before what it says is published, and `apply` publishes what is not yet: so whoever
was killed in between goes on by calling it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from vedette_converters.release.adding import change_rollout, current, fleet_role
from vedette_converters.release.attempt import Signers
from vedette_converters.release.names import checked
from vedette_converters.release.policy import Policy, RolloutState, widened
from vedette_converters.release.publishing import Published, publish
from vedette_converters.release.repository import Repository
from vedette_edge.errors import UpdateError, UsageError
from vedette_edge.ota.release import Rollout
from vedette_edge.validation import describe_errors

__all__ = ["apply", "begin", "keep", "read_state", "states", "turned"]

_MOST_BYTES = 1_048_576

Turn = Literal["widen", "pause", "resume", "abort"]


def begin(
    repository: Repository, fleet: str, model: str, policy: Policy, first: tuple[str, ...], now: datetime
) -> RolloutState:
    """Return the state of a rollout of the current release that begins now; nothing is written.

    Raises:
        UsageError: when there is no release, its rollout has begun, or a node's name is none.
    """
    release, rollout = _current(repository, fleet, model)
    try:
        before = read_state(repository, fleet, model)
    except FileNotFoundError:
        before = None
    if before is not None and before.campaign == rollout.campaign:
        raise UsageError(
            f"the rollout of release {before.release} of '{model}' is {before.phase} already: use widen, "
            "pause, resume or abort, or add another release"
        )
    share = policy.waves[0] if policy.rate is None else 0.0
    return checked(
        RolloutState,
        fleet=fleet, model=model, release=release, campaign=rollout.campaign, policy=policy,
        share=max(share, rollout.share), first=first or rollout.first, since=now.timestamp(),
    )  # fmt: skip


def turned(state: RolloutState, turn: Turn, now: datetime, reason: str = "") -> RolloutState:
    """Return the state after an operator's or the policy's turn.

    Raises:
        UsageError: when that is not possible in its phase.
    """
    begun = {"since": now.timestamp()}
    if turn == "widen":
        if state.phase != "running":
            raise UsageError(
                f"the rollout of '{state.model}' is {state.phase}: resume it before it is widened"
            )
        if state.last:
            raise UsageError(f"the last wave of '{state.model}' has begun: everybody takes part")
        return widened(state, now.timestamp())
    if turn == "resume":
        if state.phase == "aborted":
            raise UsageError(
                f"the rollout of '{state.model}' was aborted ({state.reason or 'by hand'}): add a mended "
                "release, or go back with  vedette-convert release revert"
            )
        return state.model_copy(update={"phase": "running", "reason": "", **begun})
    if state.phase == "aborted":
        raise UsageError(f"the rollout of '{state.model}' was aborted before")
    phase = {"pause": "paused", "abort": "aborted"}[turn]
    return state.model_copy(update={"phase": phase, "reason": reason[:1000], **begun})


def apply(repository: Repository, state: RolloutState, signers: Signers, now: datetime) -> Published | None:
    """Write where a rollout stands, and publish what differs from that; None where nothing does.

    Args:
        repository: to which no other writer is at work.
        state: of the rollout.
        signers: the keys of the fleet, and the online key.
        now: UTC.

    Raises:
        UsageError: when another release has come since, or the online key is not here.
        UpdateError: when the disk refuses, or a file is damaged.
    """
    _, rollout = _current(repository, state.fleet, state.model)
    if rollout.campaign != state.campaign:
        raise UsageError(
            f"the rollout of release {state.release} of '{state.model}' is over, another release is current: "
            "begin its own with  vedette-convert release rollout start"
        )
    keep(repository, state)
    waits = repository.staged().fleets.get(state.fleet) is not None
    if rollout == state.rollout and not waits:
        return None
    if rollout != state.rollout:
        change_rollout(repository, state.fleet, state.model, state.rollout, now)
    return publish(repository, signers, now)


def keep(repository: Repository, state: RolloutState) -> None:
    """Write where a rollout stands, where that is not written already."""
    path, text = _path(repository, state.fleet, state.model), state.model_dump_json(indent=2).encode() + b"\n"
    if not path.exists() or path.read_bytes() != text:
        repository.disk.write(path, text)


def read_state(repository: Repository, fleet: str, model: str) -> RolloutState:
    """Read where the rollout of a model stands.

    Raises:
        FileNotFoundError: when none was ever begun.
        UpdateError: when it cannot be read.
    """
    path = _path(repository, fleet, model)
    try:
        with path.open("rb") as file:
            return RolloutState.model_validate_json(file.read(_MOST_BYTES))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UpdateError(f"{path}: cannot read it ({error.strerror})") from error
    except ValidationError as error:
        raise UpdateError(
            f"{path} is no valid state of a rollout: {describe_errors(error, RolloutState)}; restore it, or "
            "remove it and start the rollout anew"
        ) from error


def states(repository: Repository) -> Iterator[RolloutState]:
    """Yield where each rollout stands."""
    for path in sorted((repository.work / "rollouts").glob("*/*.json")):
        yield read_state(repository, path.parent.name, path.stem)


def _current(repository: Repository, fleet: str, model: str) -> tuple[int, Rollout]:
    found = current(repository, fleet_role(repository, fleet), fleet, model)
    if found is None:
        raise UsageError(f"there is no release of '{model}' for the fleet '{fleet}': add one first")
    return found[0].release, found[1]


def _path(repository: Repository, fleet: str, model: str) -> Path:
    return repository.work / "rollouts" / fleet / f"{model}.json"
