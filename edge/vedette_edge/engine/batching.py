"""Judges the clips of several cameras in one call, where that is a gain.

Nobody waits for company: a clip that comes while no call is under way is judged at once, alone, and what
comes during that call is judged together after it. So one camera loses nothing, and many share.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable

import numpy as np

from vedette_edge.runtimes.base import Session
from vedette_edge.types import FloatArray, Outputs

__all__ = ["Batcher", "gains"]

_TRIES = 3


def gains(
    session: Session, clip: FloatArray, count: int, clock: Callable[[], float] = time.perf_counter
) -> bool:
    """Measure whether `count` clips that come together are served better in one call than in turn.

    In turn, they wait (1 + ... + count) / count times the time of one in the mean: a call of all must take no
    longer than that. So neither the throughput nor the mean latency suffers.

    Args:
        session: takes any number of clips.
        clip: (1, C, T, H, W) float32.
        count: at least 2.
        clock: seconds; only rises.

    Raises:
        RuntimeBackendError: when the runtime fails.
    """
    alone = _median_time(session, clip, clock)
    together = _median_time(session, np.repeat(clip, count, axis=0), clock)
    return together <= (count + 1) / 2 * alone


def _median_time(session: Session, clips: FloatArray, clock: Callable[[], float]) -> float:
    session.run(clips)
    times = []
    for _ in range(_TRIES):
        began = clock()
        session.run(clips)
        times.append(clock() - began)
    return statistics.median(times)


class _Turn:
    """A clip that waits for its outputs."""

    def __init__(self, clip: FloatArray) -> None:
        self.clip = clip
        self.outputs: Outputs | None = None
        self.error: Exception | None = None

    @property
    def over(self) -> bool:
        return self.outputs is not None or self.error is not None


class Batcher:
    """Collects clips while a call is under way, and judges them in the next."""

    def __init__(self, run: Callable[[FloatArray], Outputs], most: int) -> None:
        """Judge with `run`, at most `most` clips in a call."""
        self._run = run
        self._most = most
        self._changed = threading.Condition()
        self._waiting: list[_Turn] = []
        self._busy = False

    def run(self, clip: FloatArray) -> Outputs:
        """Return the outputs of a clip, (1, C, T, H, W) float32; for any thread.

        Raises:
            RuntimeBackendError: when the runtime fails; all that were in the call are told.
        """
        turn = _Turn(clip)
        with self._changed:
            self._waiting.append(turn)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: turn.over or not self._busy)
                if turn.over:
                    break
                self._busy = True
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            self._serve(batch)
        if turn.error is not None:
            raise turn.error
        assert turn.outputs is not None
        return turn.outputs

    def _serve(self, batch: list[_Turn]) -> None:
        """Judge clips, and tell those who wait for them."""
        try:
            outputs = self._run(np.concatenate([turn.clip for turn in batch]))
            for index, turn in enumerate(batch):
                row = slice(index, index + 1)
                turn.outputs = Outputs(outputs.logits[row], outputs.heatmap[row])
        except Exception as error:
            for turn in batch:
                turn.error = error
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
