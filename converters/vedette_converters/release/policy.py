"""What a rollout does next: a pure function of what nodes reported, of time, and of where the rollout stands.

    running     the share grows wave by wave, each once the wave before it has succeeded and been held
    paused      somebody paused it, or a wave ended below what it must reach; nobody begins
    aborted     too many failed; nobody begins, and nothing goes on by itself
    done        everybody takes part, and the last wave has succeeded

A node fails when it refused the release or took it back. Failures are counted against the nodes that have
begun, not those that have finished: a failure is often quick and a success never is, so that of those that
finish first too many have failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vedette_edge.ota.release import Rollout, takes_part
from vedette_edge.topics import Identifier

__all__ = [
    "Decision",
    "Fate",
    "Policy",
    "RolloutState",
    "Tally",
    "canaries",
    "decide",
    "share_now",
    "tally",
    "widened",
]

Fate: TypeAlias = Literal["waiting", "begun", "succeeded", "failed"]
Phase: TypeAlias = Literal["running", "paused", "aborted", "done"]
Share = Annotated[float, Field(gt=0, le=1)]
_STEPS = 10  # a wave that grows at a rate is signed anew at most so often


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Policy(_Part):
    """When a rollout goes on, and when it ends."""

    waves: tuple[Share, ...] = Field(default=(0.01, 0.1, 0.5, 1.0), min_length=1, max_length=100)
    success: float = Field(default=0.95, ge=0, le=1, description="Of a wave's nodes, before the next begins.")
    abort_errors: float = Field(
        default=0.1, ge=0, le=1, description="Failures, of the nodes that have begun; above it, all ends."
    )
    least: int = Field(default=20, ge=1, description="Nodes that have begun before `abort_errors` counts.")
    hold: float = Field(default=600.0, ge=0, description="Seconds that a wave lasts at least.")
    rate: float | None = Field(
        default=None, gt=0, description="Of all nodes an hour, at most; None: at once."
    )

    @model_validator(mode="after")
    def _waves_grow(self) -> Policy:
        if any(later <= earlier for earlier, later in zip(self.waves, self.waves[1:], strict=False)):
            raise ValueError(f"waves must grow, got {self.waves}")
        return self


class RolloutState(_Part):
    """Where the rollout of one release stands."""

    schema_version: Literal[1] = 1
    fleet: Identifier
    model: Identifier
    release: int = Field(ge=1)
    campaign: Identifier
    policy: Policy = Policy()
    wave: int = Field(default=0, ge=0, description="Index in the policy's waves.")
    share: float = Field(ge=0, le=1, description="That was published last.")
    first: tuple[Identifier, ...] = ()
    phase: Phase = "running"
    since: float = Field(ge=0, description="Unix time at which the wave began.")
    reason: str = Field(default="", max_length=1000)

    @property
    def rollout(self) -> Rollout:
        """What is signed of it."""
        stopped = self.phase in ("paused", "aborted")
        return Rollout(campaign=self.campaign, share=self.share, first=self.first, paused=stopped)

    @property
    def last(self) -> bool:
        """Whether no wave follows."""
        return self.wave + 1 >= len(self.policy.waves)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many nodes of a rollout are where.

    Attributes:
        known: nodes that report this model at all.
        members: those of them that take part so far.
        begun: members that have begun to take the release, or finished.
        succeeded: members that keep the release.
        failed: members that refused it or took it back.
    """

    known: int = 0
    members: int = 0
    begun: int = 0
    succeeded: int = 0
    failed: int = 0

    @property
    def pending(self) -> int:
        """Members that have not finished."""
        return self.members - self.succeeded - self.failed


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and why.

    `grow` widens the share within a wave that grows at a rate; `wait` changes nothing.
    """

    action: Literal["wait", "grow", "widen", "pause", "abort", "finish"]
    reason: str


def tally(rollout: Rollout, fates: Mapping[str, Fate]) -> Tally:
    """Count the nodes of a rollout.

    Args:
        rollout: as it is signed; a pause does not take members away.
        fates: of every node that reports this model, by NODE or SITE/NODE.
    """
    unpaused = rollout.model_copy(update={"paused": False})
    members = [fate for place, fate in fates.items() if takes_part(unpaused, place.rpartition("/")[2])]
    return Tally(
        known=len(fates),
        members=len(members),
        begun=len(members) - members.count("waiting"),
        succeeded=members.count("succeeded"),
        failed=members.count("failed"),
    )


def decide(state: RolloutState, counts: Tally, now: float) -> Decision:
    """Return what the rollout does next.

    Args:
        state: where it stands.
        counts: of the nodes that take part at its present share.
        now: Unix time.
    """
    policy = state.policy
    figures = f"{counts.succeeded} of {counts.members} succeeded, {counts.failed} failed"
    if state.phase != "running":
        return Decision("wait", f"it is {state.phase}")
    if counts.begun >= policy.least and counts.failed > policy.abort_errors * counts.begun:
        return Decision("abort", f"{figures}: more than {policy.abort_errors:.1%} of {counts.begun} begun")
    if not counts.known:
        return Decision("wait", "no node has reported this model yet")
    grown = share_now(state, now)
    if grown > state.share:
        return Decision("grow", f"{figures}; the share grows to {grown:.2%}")
    if state.share < policy.waves[state.wave]:
        return Decision("wait", f"{figures}; the share grows at its rate")
    if counts.succeeded < policy.success * counts.members:
        if counts.pending:
            return Decision("wait", f"{figures}, {counts.pending} not finished")
        return Decision("pause", f"{figures}: all have finished, and {policy.success:.1%} is not reached")
    if now - state.since < policy.hold:
        return Decision("wait", f"{figures}; held for {policy.hold:g} s")
    if state.last:
        return Decision("finish", figures)
    return Decision("widen", f"{figures}; on to {policy.waves[state.wave + 1]:.2%}")


def widened(state: RolloutState, now: float) -> RolloutState:
    """Return the state at the beginning of the next wave.

    Raises:
        ValueError: when there is none.
    """
    if state.last:
        raise ValueError("the last wave has begun")
    following = state.model_copy(
        update={"wave": state.wave + 1, "since": now, "phase": "running", "reason": ""}
    )
    at_once = state.policy.rate is None
    share = following.policy.waves[following.wave] if at_once else state.share
    return following.model_copy(update={"share": share})


def share_now(state: RolloutState, now: float) -> float:
    """Return the share that a wave has by now: its own, or what its rate allows, in a few steps."""
    target = state.policy.waves[state.wave]
    if state.policy.rate is None:
        return target
    before = state.policy.waves[state.wave - 1] if state.wave else 0.0
    allowed = before + state.policy.rate * max(0.0, now - state.since) / 3600
    if allowed >= target:
        return target
    step = (target - before) / _STEPS
    return max(state.share, before + step * int((allowed - before) / step))


def canaries(first: Iterable[str], hardware: Mapping[str, str]) -> tuple[str, ...]:
    """Return the nodes that go first, with one more of each hardware that has none among them.

    Args:
        first: nodes that were chosen.
        hardware: of every known node, by its name.
    """
    chosen = list(dict.fromkeys(first))
    covered = {hardware[node] for node in chosen if node in hardware}
    for node in sorted(hardware):
        if hardware[node] not in covered:
            chosen.append(node)
            covered.add(hardware[node])
    return tuple(chosen)
