"""Between the link and the control: takes commands at once, does them one after the other, answers each.

The link's thread only hands over; a bounded queue stands between, and what finds it full is refused as
`busy`. The id of a command is on the disk before it is done, so it is done once at most. The answer goes to
`cmd/{name}/response`, or to the topic below it that MQTT 5 asks for; no other is the node's to write.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from vedette_edge.errors import VedetteError
from vedette_edge.publish.base import Message
from vedette_edge.publish.wire import Exchange, Received
from vedette_edge.remote.commands import Command, Limits, Refused, Result, read
from vedette_edge.remote.control import Control
from vedette_edge.remote.seen import Seen
from vedette_edge.topics import Topics

__all__ = ["Answer", "Commander"]

_log = logging.getLogger(__name__)
_WAITING = 32  # commands
_LIMITS = Limits()

Answer: TypeAlias = Callable[[Message, Exchange], None]
"""Sends an answer, which may be lost: the one who asked will ask again, with another id."""


@dataclass(frozen=True, slots=True)
class _Arrival:
    name: str
    received: Received
    time: float


class Commander:
    """Does the commands of one node, in a thread of its own."""

    def __init__(
        self,
        topics: Topics,
        control: Control,
        seen: Seen,
        answer: Answer,
        *,
        limits: Limits = _LIMITS,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; nothing is done before `start`.

        Args:
            topics: of the node.
            control: does it.
            seen: what was done before.
            answer: sends an answer, from any thread.
            limits: when a command is void.
            now: Unix time, seconds.
        """
        self._topics = topics
        self._control = control
        self._seen = seen
        self._answer = answer
        self._limits = limits
        self._now = now
        self._queue: queue.Queue[_Arrival | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._run, name="commands", daemon=True)

    @property
    def filter(self) -> str:
        """The topics to listen to."""
        return self._topics.command("+")

    def start(self) -> None:
        """Begin to do what comes."""
        self._thread.start()

    def take(self, received: Received) -> None:
        """Take a message; returns at once."""
        name = received.topic.rpartition("/")[2]
        try:
            self._queue.put_nowait(_Arrival(name, received, self._now()))
        except queue.Full:
            busy = Refused("busy", f"{_WAITING} commands wait already; try again later")
            self._reply(name, received, busy.result())

    def close(self, patience: float = 2.0) -> None:
        """End after the command in hand, and wait for that so many seconds."""
        if self._thread.ident is None:
            return
        try:
            self._queue.put(None, timeout=patience)
        except queue.Full:
            return
        self._thread.join(patience)

    def _run(self) -> None:
        while (arrival := self._queue.get()) is not None:
            try:
                self._reply(arrival.name, arrival.received, self._result(arrival))
            except Exception:
                _log.exception("cannot answer the command '%s'", arrival.name)

    def _result(self, arrival: _Arrival) -> Result:
        try:
            command = read(
                arrival.name, arrival.received, arrived=arrival.time, now=self._now(), limits=self._limits
            )
            self._seen.claim(command.id)
        except Refused as refused:
            _log.warning("command '%s' refused: %s", arrival.name, refused)
            return refused.result()
        return self._do(command)

    def _do(self, command: Command) -> Result:
        try:
            outcome = getattr(self._control, command.name)(command.arguments)
        except VedetteError as error:
            return Refused("failed", str(error), command.id).result()
        except Exception:
            _log.exception("command '%s' failed", command.name)
            return Refused("failed", "a defect of the agent; its log says more", command.id).result()
        _log.info("command '%s' (%s) done", command.name, command.id)
        return Result(id=command.id, ok=True, result=dict(outcome))

    def _reply(self, name: str, received: Received, result: Result) -> None:
        asked = received.exchange.response_topic
        usual = self._topics.response(name)
        # Whoever asks must not have us write where only we may write, such as on another node's commands.
        topic = asked if asked.startswith(f"{usual}/") else usual
        payload = result.model_dump_json().encode()
        self._answer(Message(topic, payload), Exchange(correlation=received.exchange.correlation))
