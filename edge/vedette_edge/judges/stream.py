"""Judges a stream frame by frame with a causal network, which remembers the frames before.

Its verdicts are those that clips would get: one of the last `spec.frames` samples, the first when there are
as many, another each hop. So thresholds that were tuned on clips hold. Where a network's memory reaches
further back than a clip, a stream knows a little more than the clip.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from vedette_edge.clips import FrameStream
from vedette_edge.judges.base import Verdict
from vedette_edge.judges.pace import Pace
from vedette_edge.manifest import InputSpec
from vedette_edge.probabilities import Scale
from vedette_edge.runtimes.base import StreamingSession
from vedette_edge.types import FloatArray, Frame

__all__ = ["StreamJudge"]


class StreamJudge:
    """Gives each sampled frame to the network once, and tells what it says of the clip that ends there.

    A verdict's heatmap has a slice a frame: what the network saw in it when it came.
    """

    def __init__(
        self, spec: InputSpec, hop: int, scale: Scale, session: StreamingSession, pace: Pace | None = None
    ) -> None:
        """Judge each `hop` sampled frames, or those times of them that `pace` takes."""
        self._spec = spec
        self._hop = hop
        self._scale = scale
        self._pace = pace or Pace()
        self._stream = session.open_stream()
        self._window: deque[tuple[Frame, FloatArray]] = deque(maxlen=spec.frames)
        self._begin()

    def push(self, frame: Frame) -> tuple[list[Verdict], bool]:
        """Take the next frame; see `Judge`.

        Raises:
            RuntimeBackendError: when the runtime fails.
        """
        ticks, anew = self._frames.push(frame)
        if anew:
            self._forget()
        return ([] if ticks is None else self._judge(ticks, frame)), anew

    def finish(self) -> list[Verdict]:
        """End the stream; one too short for a clip is judged as if its last frame had stood still.

        Raises:
            RuntimeBackendError: when the runtime fails.
        """
        try:
            if self._said or not self._window:
                return []
            return self._judge(self._frames.still(self._until_next), self._window[-1][0])
        finally:
            self._begin()

    def set_hop_factor(self, factor: int) -> None:
        """Give `factor` times fewer verdicts; the network sees each frame all the same. See `Judge`."""
        self._pace.set_factor(factor)

    def _begin(self) -> None:
        self._frames = FrameStream(self._spec)
        self._said = False
        self._forget()

    def _forget(self) -> None:
        self._stream.reset()
        self._window.clear()
        self._until_next = self._spec.frames
        self._pace.restart()

    def _judge(self, ticks: FloatArray, frame: Frame) -> list[Verdict]:
        outputs = self._stream.push(ticks)
        verdicts: list[Verdict] = []
        for logits, heatmap in zip(outputs.logits, outputs.heatmap, strict=True):
            self._window.append((frame, heatmap))
            self._until_next -= 1
            if self._until_next:
                continue
            self._until_next = self._hop
            self._said = True
            if self._pace.take():
                verdicts.append(self._verdict(logits))
        return verdicts

    def _verdict(self, logits: FloatArray) -> Verdict:
        frames = [frame for frame, _ in self._window]
        start, end = frames[0].time, frames[-1].time
        heatmap = np.concatenate([heatmap for _, heatmap in self._window], axis=1)
        return Verdict(start, end, (start + end) / 2, self._scale.probabilities(logits), heatmap, frames)
