"""What a quantiser sees: real inputs of the training part; in a stream with the state that they meet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import torch

from vedette_converters.graph import CLIP_INPUT, FRAME_INPUT, Feed, Graph
from vedette_converters.subjects import Judgeable, Subject
from vedette_edge.errors import DataError
from vedette_edge.types import FloatArray
from vedette_train.calibration_set import VIDEOS, evenly, middle_and_ends

__all__ = ["calibration_clips", "clip_feeds", "stream_feeds"]

_FRAMES, _APART = 32, 7  # feeds of a stream, and the frames from one to the next


def calibration_clips(subject: Subject) -> list[FloatArray]:
    """Return clips (1, C, T, H, W) of the training part, over all labels.

    Raises:
        DataError: when there are none, or one has another shape than the network's input.
    """
    spec = subject.description.input
    expected = (spec.channels, spec.frames, spec.height, spec.width)
    clips: list[FloatArray] = []
    for item in subject.calibration(VIDEOS):
        if item.tensor.shape[1:] != expected:
            raise DataError(f"calibration data is {item.tensor.shape[1:]}, the network takes {expected}")
        clips += middle_and_ends(item.tensor)
    if not clips:
        raise DataError("there is nothing to calibrate with: the run's training part is empty")
    return evenly(clips)


def clip_feeds(clips: Sequence[FloatArray]) -> list[Feed]:
    """Return the feeds of a graph of mode `clip`."""
    return [{CLIP_INPUT: clip} for clip in clips]


def stream_feeds(subject: Subject, graph: Graph) -> list[Feed]:
    """Return the feeds of a graph of mode `stream`: frames amid videos, with the state that they meet."""
    streams = (item for item in subject.calibration(VIDEOS) if item.stream is not None)
    return list(islice(_followed(streams, graph), _FRAMES))


@torch.inference_mode()
def _followed(items: Iterator[Judgeable], graph: Graph) -> Iterator[Feed]:
    names = [tensor.name for tensor in graph.state]
    count = 0
    for item in items:
        assert item.stream is not None
        state = [torch.zeros(tensor.shape) for tensor in graph.state]
        for index in range(item.stream.shape[2]):
            frame = item.stream[:, :, index : index + 1]
            if count % _APART == 0:
                carried = {name: value.numpy() for name, value in zip(names, state, strict=True)}
                yield {FRAME_INPUT: frame, **carried}
            count += 1
            _, _, *state = graph.module(torch.from_numpy(frame), *state)
