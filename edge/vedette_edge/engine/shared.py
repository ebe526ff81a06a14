"""One loaded model for all cameras."""

from __future__ import annotations

from functools import partial

from vedette_edge.engine.batching import Batcher
from vedette_edge.engine.turns import Turns
from vedette_edge.metrics import Durations
from vedette_edge.runtimes.base import Session, Stream, StreamingSession
from vedette_edge.types import FloatArray, Outputs

__all__ = ["SharedSession", "SharedStreams"]


class SharedSession:
    """A loaded model that judges clips for all cameras, in turn or several in a call."""

    def __init__(self, session: Session, turns: Turns | None = None, *, batch: int = 1) -> None:
        """Share `session`.

        Args:
            session: for any thread.
            turns: by default one call at a time.
            batch: the most clips in a call.
        """
        self._session = session
        self.turns = turns or Turns()
        self._judge = Batcher(self._call, batch).run if batch > 1 else self._call

    @property
    def durations(self) -> Durations:
        """Of the calls."""
        return self.turns.durations

    def run(self, clips: FloatArray) -> Outputs:
        """Return the outputs for (N, C, T, H, W) float32 clips; for (1, C, T, H, W) where they are batched.

        Raises:
            RuntimeBackendError: when the runtime fails.
        """
        return self._judge(clips)

    def _call(self, clips: FloatArray) -> Outputs:
        return self.turns.take(partial(self._session.run, clips))


class SharedStreams:
    """A loaded model that follows a stream of each camera; they take turns, and share its weights."""

    def __init__(self, session: StreamingSession, turns: Turns | None = None) -> None:
        """Share `session`; by default one call at a time."""
        self._session = session
        self.turns = turns or Turns()

    @property
    def durations(self) -> Durations:
        """Of the calls, one or a few frames each."""
        return self.turns.durations

    def open_stream(self) -> Stream:
        """Begin a stream.

        Raises:
            RuntimeBackendError: when the runtime fails.
        """
        return _SharedStream(self._session.open_stream(), self.turns)


class _SharedStream:
    def __init__(self, stream: Stream, turns: Turns) -> None:
        self._stream = stream
        self._turns = turns

    def push(self, frames: FloatArray) -> Outputs:
        return self._turns.take(partial(self._stream.push, frames))

    def reset(self) -> None:
        self._stream.reset()
