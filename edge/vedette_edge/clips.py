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
from vedette_edge.preprocess import fit, frames_tensor, to_tensor
from vedette_edge.sampling import Clip, ClipSampler, TickSampler
from vedette_edge.types import FloatArray, Frame, Image

__all__ = ["ClipStream", "FrameStream", "Sampled", "clip_tensor", "flow_of"]


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


class _Sampler:
    """Samples a stream by time; fits each sampled frame, and computes its flow, once."""

    def __init__(self, spec: InputSpec) -> None:
        self._spec = spec
        self._ticks = TickSampler(spec.fps)
        self._flow = FlowStream(spec.flow, spec.color) if spec.flow else None

    def push(self, frame: Frame) -> tuple[Sampled | None, int, bool]:
        """Return the frame if it is sampled, the ticks it stands for, and whether the stream started anew."""
        ticks, anew = self._ticks.push(frame.time)
        if not ticks:
            return None, 0, anew
        if anew and self._flow:
            self._flow.reset()
        fitted = fit(frame.image, self._spec)
        flow = self._flow.push(fitted) if self._flow else None
        return Sampled(frame, fitted, flow), ticks, anew


class ClipStream:
    """Makes clips of a stream of frames, by the rules of `sampling`."""

    def __init__(self, spec: InputSpec, hop: int) -> None:
        """Make clips as `spec` says, a new one each `hop` sampled frames."""
        self._sampler = _Sampler(spec)
        self._clips: ClipSampler[Sampled] = ClipSampler(frames=spec.frames, hop=hop, fps=spec.fps)

    def push(self, frame: Frame) -> tuple[list[Clip[Sampled]], bool]:
        """Take the next frame; return the clips that it completes, and whether the stream started anew."""
        # Fitted now, not when the clip is full: all its frames at once would delay the verdict.
        sampled, _, anew = self._sampler.push(frame)
        return ([] if sampled is None else self._clips.push(frame.time, sampled)), anew

    def finish(self) -> list[Clip[Sampled]]:
        """End the stream; return its one padded clip if it was too short for any."""
        return self._clips.finish()


class FrameStream:
    """Makes the input of a streaming network of a stream of frames, by the rules of `sampling`."""

    def __init__(self, spec: InputSpec) -> None:
        """Sample as `spec` says."""
        self._spec = spec
        self._sampler = _Sampler(spec)
        self._before: Sampled | None = None

    def push(self, frame: Frame) -> tuple[FloatArray | None, bool]:
        """Take the next frame.

        Returns:
            (1, C, n, H, W) float32 of the n ticks that it stands for, None if it is not sampled; and whether
            the stream started anew, so that the network must forget what it saw.
        """
        sampled, ticks, anew = self._sampler.push(frame)
        if sampled is None:
            return None, anew
        before = None if anew or self._before is None else self._before.fitted
        self._before = sampled
        items = [sampled] * ticks
        flow = flow_of(items) if self._spec.flow else None
        return frames_tensor([item.fitted for item in items], self._spec, flow, before), anew

    def still(self, count: int) -> FloatArray:
        """Return (1, C, n, H, W) float32 of `count` more ticks for which the last sampled frame stands.

        Raises:
            ValueError: when no frame was sampled yet.
        """
        if self._before is None:
            raise ValueError("there is no frame to stand still")
        last = self._before
        flow = None if last.flow is None else [np.zeros_like(last.flow)] * count
        return frames_tensor([last.fitted] * count, self._spec, flow, last.fitted)


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
