"""The work of a capture process: source in, shared memory out, until the source ends or the agent goes."""

from __future__ import annotations

import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable

from vedette_edge.capture.messages import Alive, Ended, Filled, Job, Message, Note, encode
from vedette_edge.capture.picture import blacken, fitted_size, write_fitted
from vedette_edge.capture.ring import Ring
from vedette_edge.errors import VedetteError
from vedette_edge.sampling import Demand
from vedette_edge.sources import Source, open_source
from vedette_edge.types import Frame

__all__ = ["AgentGoneError", "serve"]

_ALIVE = 0.5  # seconds between two signs of life of a source that waits on purpose
_MOST_SLOTS = 64  # given back at once; there are far fewer


class AgentGoneError(Exception):
    """The agent has closed its end, so there is nobody to work for."""


def serve(job: Job, channel: socket.socket, ring: Ring) -> None:
    """Capture until the source ends, and say how it did.

    Raises:
        AgentGoneError: when the agent has closed its end of `channel`.
    """
    says = _Mouth(channel)
    log, to_agent = logging.getLogger("vedette_edge"), _ToAgent(says)
    log.addHandler(to_agent)
    try:
        demand = Demand(job.rates)
        source = open_source(job.kind, job.options, says.pause, lambda: time.monotonic() - job.origin, demand)
        says(_run(source, demand, job, _Slots(channel, ring.slots), ring, says))
    finally:
        log.removeHandler(to_agent)


def _run(
    source: Source, demand: Demand, job: Job, slots: _Slots, ring: Ring, says: Callable[[Message], None]
) -> Ended:
    try:
        _hand_over(source.frames(), demand, job, slots, ring, says)
    except VedetteError as error:
        return Ended(str(error) or "the source failed", demand.seen)
    return Ended(seen=demand.seen)


def _hand_over(
    frames: Iterable[Frame],
    demand: Demand,
    job: Job,
    slots: _Slots,
    ring: Ring,
    says: Callable[[Message], None],
) -> None:
    dropped = 0
    for frame in frames:
        slot = slots.take(wait=job.wait)
        if slot is None:
            dropped += 1
            continue
        height, width = fitted_size(frame.image, job.max_side)
        shared = ring.view(slot, height, width)
        write_fitted(frame.image, shared)
        blacken(shared, job.masks)
        says(Filled(slot, height, width, frame.time, demand.seen, dropped))


class _Slots:
    """The slots that belong to this side."""

    def __init__(self, channel: socket.socket, count: int) -> None:
        self._channel = channel
        self._free = deque(range(count))

    def take(self, *, wait: bool) -> int | None:
        """Return a free slot; without one, wait for it, or return None."""
        self._collect(block=False)
        while wait and not self._free:
            self._collect(block=True)
        return self._free.popleft() if self._free else None

    def _collect(self, *, block: bool) -> None:
        flags = 0 if block else socket.MSG_DONTWAIT
        try:
            while given_back := self._channel.recv(_MOST_SLOTS, flags):
                self._free.extend(given_back)
                flags = socket.MSG_DONTWAIT
        except BlockingIOError:
            return
        except ConnectionError as error:
            raise AgentGoneError from error
        raise AgentGoneError


class _Mouth:
    """Sends messages; and is how a source waits, because whoever waits on purpose must say so."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def __call__(self, message: Message) -> None:
        try:
            self._channel.send(encode(message))
        except ConnectionError as error:
            raise AgentGoneError from error

    def pause(self, seconds: float) -> bool:
        """Wait; a source ends with its process, so never ask it to (see `Pause`)."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if left > _ALIVE:
                self(Alive())
            time.sleep(min(left, _ALIVE))
        return False


class _ToAgent(logging.Handler):
    """Hands what is logged here to the agent, whose log it belongs in."""

    def __init__(self, says: Callable[[Message], None]) -> None:
        super().__init__(logging.WARNING)
        self._says = says

    def emit(self, record: logging.LogRecord) -> None:
        self._says(Note(record.getMessage()))
