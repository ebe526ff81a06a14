"""From a stream of frames to the clips that a network judges: sampled, fitted, with their flow.

Each frame that is sampled is fitted once, and its flow computed once, however many clips share it.
Evaluation, the parity proof and the device all read their clips here, so they see the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vedette_edge.flow import FlowField, FlowStream
from vedette_edge.manifest import InputSpec
from vedette_edge.preprocess import fit, to_tensor
from vedette_edge.sampling import Clip, ClipSampler, TickSampler
from vedette_edge.types import FloatArray, Frame, Image

__all__ = ["ClipStream", "Sampled", "clip_tensor", "flow_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """A frame of a clip.

    Attributes:
        frame: as the source gave it.
        fitted: (H, W, 3) uint8, from `preprocess.fit`.
        flow: (H, W, 2) float32 pixels from the sampled frame before it; None where the network sees none.
    """

    frame: Frame
    fitted: Image
    flow: FlowField | None


class ClipStream:
    """Makes clips of a stream of frames, by the rules of `sampling`."""

    def __init__(self, spec: InputSpec, hop: int) -> None:
        """Make clips as `spec` says, a new one each `hop` sampled frames."""
        self._spec = spec
        self._ticks = TickSampler(spec.fps)
        self._clips: ClipSampler[Sampled] = ClipSampler(frames=spec.frames, hop=hop, fps=spec.fps)
        self._flow = FlowStream(spec.flow, spec.color) if spec.flow else None

    def push(self, frame: Frame) -> tuple[list[Clip[Sampled]], bool]:
        """Take the next frame; return the clips that it completes, and whether the stream started anew."""
        ticks, anew = self._ticks.push(frame.time)
        if not ticks:
            return [], anew
        if anew and self._flow:
            self._flow.reset()
        # Now, not when the clip is full: fitting all its frames at once would delay the verdict.
        fitted = fit(frame.image, self._spec)
        flow = self._flow.push(fitted) if self._flow else None
        return self._clips.push(frame.time, Sampled(frame, fitted, flow)), anew

    def finish(self) -> list[Clip[Sampled]]:
        """End the stream; return its one padded clip if it was too short for any."""
        return self._clips.finish()


def clip_tensor(clip: Clip[Sampled], spec: InputSpec) -> FloatArray:
    """Return a clip as the network's input, (1, C, T, H, W) float32; see `preprocess.to_tensor`."""
    flow = flow_of(clip.items) if spec.flow else None
    return to_tensor([item.fitted for item in clip.items], spec, flow)


def flow_of(items: Sequence[Sampled]) -> list[FlowField]:
    """Return the flow of each item; a frame that stands for several ticks moves at the first only."""
    fields: list[FlowField] = []
    before: Sampled | None = None
    for item in items:
        assert item.flow is not None
        fields.append(np.zeros_like(item.flow) if item is before else item.flow)
        before = item
    return fields
