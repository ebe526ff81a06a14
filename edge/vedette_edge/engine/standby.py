"""Goes on judging when what a model runs on fails: on the same once more, then on the next that works.

`Standby` holds what is in force. Clips and streams reach it through `StandbySession` and `StandbyStreams`,
and nobody behind them notices a change, but for one to the other mode: that is `Superseded`, at which a
`SteadyJudge` begins again with a judge of that mode.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from vedette_edge.choice import Candidate
from vedette_edge.engine.shared import SharedSession, SharedStreams
from vedette_edge.errors import RuntimeBackendError
from vedette_edge.judges import Judge, Verdict
from vedette_edge.runtimes.base import Stream
from vedette_edge.types import FloatArray, Frame, Outputs

__all__ = ["Running", "Standby", "StandbySession", "StandbyStreams", "SteadyJudge", "Superseded"]

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Superseded(Exception):  # noqa: N818 - not an error: what runs now is of the other mode
    """The model goes on in the other mode."""


@dataclass(frozen=True, slots=True, eq=False)
class Running:
    """What is in force.

    Attributes:
        candidate: the variant, and what it runs on.
        shared: it, loaded.
    """

    candidate: Candidate
    shared: SharedSession | SharedStreams


class Standby:
    """What is in force of a model, and what comes when that fails; for any thread.

    Attributes:
        running: what is in force.
        failure: why the first that failed did; "" while none has.
    """

    def __init__(self, following: Callable[[], Running], on_change: Callable[[Running, str], None]) -> None:
        """Take the first.

        Args:
            following: loads the next that works.
            on_change: told of what runs from now on, and why.

        Raises:
            VedetteError: when none works.
        """
        self._following = following
        self._on_change = on_change
        self._lock = threading.Lock()
        self.failure = ""
        self.running = following()

    def attempt(self, running: Running, call: Callable[[], T]) -> T | None:
        """Make a call of what runs, once more where it fails; None, and the next runs, where that fails too.

        Raises:
            VedetteError: when nothing is left that works.
        """
        name = running.candidate.name
        try:
            return call()
        except RuntimeBackendError as error:
            _log.warning("variant '%s': %s; it is tried once more", name, error)
        try:
            return call()
        except RuntimeBackendError as error:
            self._replace(running, f"'{name}' failed twice: {error}")
        return None

    def switch(self, load: Callable[[], Running], why: str) -> None:
        """Run something else from now on.

        Raises:
            VedetteError: when that cannot be loaded; what ran goes on.
        """
        with self._lock:
            self._run(load(), why)

    def _replace(self, failed: Running, why: str) -> None:
        with self._lock:
            if self.running is not failed:  # another camera was first
                return
            # Before the next is looked for: there may be none.
            self.failure = self.failure or why
            self._run(self._following(), why)

    def _run(self, running: Running, why: str) -> None:
        self.running = running
        _log.warning("variant '%s' runs now: %s", running.candidate.name, why)
        self._on_change(running, why)


class StandbySession:
    """Judges clips with what is in force."""

    def __init__(self, standby: Standby) -> None:
        """Follow `standby`."""
        self._standby = standby

    def run(self, clips: FloatArray) -> Outputs:
        """Return the outputs for (1, C, T, H, W) float32 clips.

        Raises:
            Superseded: when what runs now judges streams.
            VedetteError: when nothing is left that works.
        """
        while True:
            running = self._standby.running
            if not isinstance(running.shared, SharedSession):
                raise Superseded
            outputs = self._standby.attempt(running, partial(running.shared.run, clips))
            if outputs is not None:
                return outputs


class StandbyStreams:
    """Follows streams with what is in force."""

    def __init__(self, standby: Standby, frames: int) -> None:
        """Follow `standby`; a stream that begins anew sees its last `frames` frames again first."""
        self._standby = standby
        self._frames = frames

    def open_stream(self) -> Stream:
        """Begin a stream."""
        return _StandbyStream(self._standby, self._frames)


class _StandbyStream:
    """A stream that survives its runtime: what it saw last is shown to the one that takes its place."""

    def __init__(self, standby: Standby, frames: int) -> None:
        self._standby = standby
        self._seen: deque[FloatArray] = deque(maxlen=frames)
        self._on: Running | None = None
        self._stream: Stream | None = None

    def push(self, frames: FloatArray) -> Outputs:
        while True:
            running = self._standby.running
            if not isinstance(running.shared, SharedStreams):
                raise Superseded
            outputs = self._standby.attempt(running, partial(self._push, running, running.shared, frames))
            if outputs is not None:
                self._seen.extend(np.split(frames, frames.shape[2], axis=2))
                return outputs

    def reset(self) -> None:
        self._seen.clear()
        if self._stream is not None:
            self._stream.reset()

    def _push(self, running: Running, shared: SharedStreams, frames: FloatArray) -> Outputs:
        stream = self._stream
        if stream is None or self._on is not running:
            stream = shared.open_stream()
            for seen in self._seen:
                stream.push(seen)
        # What a runtime remembers after a failure is not to be trusted.
        self._stream = None
        outputs = stream.push(frames)
        self._stream, self._on = stream, running
        return outputs


class SteadyJudge:
    """Judges one camera, whichever mode the model's variant is of."""

    def __init__(self, make: Callable[[], Judge]) -> None:
        """Judge with what `make` gives: a judge of the mode that is in force."""
        self._make = make
        self._judge = make()

    def push(self, frame: Frame) -> tuple[list[Verdict], bool]:
        """Take the next frame; see `Judge`. A change of the mode costs the verdicts of one clip's length.

        Raises:
            VedetteError: when no variant works any more.
        """
        try:
            return self._judge.push(frame)
        except Superseded:
            self._judge = self._make()
        # To the new judge all is new, but the stream goes on, and so do its events.
        verdicts, _ = self.push(frame)
        return verdicts, False

    def finish(self) -> list[Verdict]:
        """End the stream; see `Judge`.

        Raises:
            VedetteError: when no variant works any more.
        """
        try:
            return self._judge.finish()
        except Superseded:
            self._judge = self._make()
            return []

    def set_hop_factor(self, factor: int) -> None:
        """Judge `factor` times less often; see `Judge`."""
        self._judge.set_hop_factor(factor)
