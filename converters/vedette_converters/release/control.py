"""Drives a rollout by what nodes report: hears, decides (`policy.decide`), and has it signed and published.

It keeps nothing in memory that it needs: the reports are retained by the broker, and where the rollout stands
is on the disk. So it may be killed and started again at any moment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from vedette_converters.release.adding import Wanted, revert
from vedette_converters.release.attempt import Signers
from vedette_converters.release.campaigns import apply, read_state, turned
from vedette_converters.release.policy import Decision, RolloutState, Tally, decide, share_now, tally
from vedette_converters.release.publishing import publish
from vedette_converters.release.reports import Nodes, desired_topic
from vedette_converters.release.repository import Repository
from vedette_edge.errors import UsageError
from vedette_edge.ota.release import takes_part

__all__ = ["Controller", "Room", "Step"]


class Room(Protocol):
    """The control room's connection to the nodes."""

    def heard(self) -> Iterable[tuple[str, bytes]]:
        """Return (topic, payload) of what came since the last call; waits for none.

        Raises:
            BrokerError: when the connection is lost.
        """
        ...

    def say(self, topic: str, payload: bytes) -> None:
        """Send a message that the broker retains."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """What a look at the rollout led to."""

    state: RolloutState
    counts: Tally
    decision: Decision

    @property
    def over(self) -> bool:
        """Whether nothing goes on by itself any more."""
        return self.state.phase != "running"


class Controller:
    """Drives the rollout of one model."""

    def __init__(
        self,
        repository: Repository,
        fleet: str,
        model: str,
        *,
        signers: Signers,
        room: Room,
        clock: Callable[[], datetime],
        reverts: bool = False,
    ) -> None:
        """Prepare to drive a rollout that has begun.

        Args:
            repository: of the release.
            fleet: whose.
            model: which.
            signers: the fleet's keys and the online key.
            room: what nodes are heard and asked by.
            clock: UTC.
            reverts: after an abort, publish the files of the release before as a new one, for everybody.
        """
        self._repository, self._fleet, self._model = repository, fleet, model
        self._signers, self._room, self._clock, self._reverts = signers, room, clock, reverts
        self._nodes = Nodes()
        self._asked: set[tuple[str, tuple[str, str]]] = set()

    def step(self) -> Step:
        """Look once, and do what is to be done.

        Raises:
            UsageError: when there is no such rollout, or a key is missing.
            UpdateError: when the disk refuses, or a file is damaged.
            BrokerError: when the connection is lost.
        """
        for topic, payload in self._room.heard():
            self._nodes.hear(topic, payload)
        now = self._clock()
        with self._repository.alone():
            state = self._state()
            # What a process before this one decided and could not publish any more.
            apply(self._repository, state, self._signers, now)
            counts = tally(state.rollout, self._nodes.fates(self._model, state.release, state.campaign))
            decision = decide(state, counts, now.timestamp())
            state = _after(state, decision, now)
            apply(self._repository, state, self._signers, now)
            if decision.action == "abort" and self._reverts:
                wanted = Wanted(share=1.0, notes=f"instead of release {state.release}: {decision.reason}")
                revert(self._repository, self._fleet, self._model, None, wanted, now)
                publish(self._repository, self._signers, now)
        self._ask_to_look(state, everybody=decision.action == "abort" and self._reverts)
        return Step(state, counts, decision)

    def _state(self) -> RolloutState:
        try:
            return read_state(self._repository, self._fleet, self._model)
        except FileNotFoundError:
            raise UsageError(
                f"no rollout of '{self._model}' has begun for the fleet '{self._fleet}': begin one with  "
                "vedette-convert release rollout start"
            ) from None

    def _ask_to_look(self, state: RolloutState, *, everybody: bool) -> None:
        """Hint to each node that takes part that there is something to look for; once a campaign."""
        hint = json.dumps({"campaign": state.campaign, "wave": state.wave, "not_before": 0.0}).encode()
        for site, node in self._nodes.places():
            once = state.campaign if not everybody else f"{state.campaign} is over", (site, node)
            if once not in self._asked and (everybody or takes_part(state.rollout, node)):
                self._room.say(desired_topic(site, node), hint)
                self._asked.add(once)


def _after(state: RolloutState, decision: Decision, now: datetime) -> RolloutState:
    match decision.action:
        case "grow":
            return state.model_copy(update={"share": share_now(state, now.timestamp())})
        case "widen" | "pause" | "abort":
            return turned(state, decision.action, now, decision.reason)
        case "finish":
            return state.model_copy(update={"phase": "done", "reason": decision.reason})
        case _:
            return state
