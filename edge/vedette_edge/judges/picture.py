"""Judges single pictures, as anomaly models do: each that is sampled, one every few seconds, or on demand."""

from __future__ import annotations

import threading

from vedette_edge.judges.base import Verdict
from vedette_edge.judges.pace import Pace
from vedette_edge.manifest import InputSpec
from vedette_edge.preprocess import fit, to_tensor
from vedette_edge.probabilities import Scale
from vedette_edge.runtimes.base import Session
from vedette_edge.sampling import TickSampler
from vedette_edge.types import Frame

__all__ = ["PictureJudge"]


class PictureJudge:
    """Judges pictures alone, whatever came before them."""

    def __init__(
        self,
        spec: InputSpec,
        scale: Scale,
        session: Session,
        *,
        every: float | None,
        pace: Pace | None = None,
    ) -> None:
        """Judge pictures.

        Args:
            spec: the manifest's input, of one frame.
            scale: how logits are read.
            session: the model.
            every: seconds from one picture to the next; None: only those that `trigger` asks for.
            pace: which of the pictures of every so many seconds are judged; by default all.
        """
        self._spec = spec
        self._scale = scale
        self._session = session
        self._every = every
        self._pace = pace or Pace()
        self._asked = threading.Event()
        self._begin()

    def push(self, frame: Frame) -> tuple[list[Verdict], bool]:
        """Take the next frame; see `Judge`.

        Raises:
            RuntimeBackendError: when the runtime fails.
        """
        ticks, anew = self._ticks.push(frame.time)
        if anew:
            self._pace.restart()
        due = self._every is not None and ticks > 0 and self._pace.take()
        if not due and not self._asked.is_set():
            return [], anew
        self._asked.clear()
        return [self._judge(frame)], anew

    def finish(self) -> list[Verdict]:
        """End the stream; there is nothing left to say."""
        self._begin()
        return []

    def trigger(self) -> None:
        """Have the next frame judged, from any thread."""
        self._asked.set()

    def set_hop_factor(self, factor: int) -> None:
        """Judge `factor` times less often; a trigger is obeyed all the same. See `Judge`."""
        self._pace.set_factor(factor)

    def _begin(self) -> None:
        self._ticks = TickSampler(1 / self._every if self._every else self._spec.fps)

    def _judge(self, frame: Frame) -> Verdict:
        outputs = self._session.run(to_tensor([fit(frame.image, self._spec)], self._spec))
        probabilities = self._scale.probabilities(outputs.logits[0])
        return Verdict(frame.time, frame.time, frame.time, probabilities, outputs.heatmap[0], [frame])
