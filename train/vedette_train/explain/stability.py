"""How steady a network is from one frame to the next: dense windows, one sampled frame apart.

Jitter is KL(p_{t-1} || p_t), how far the probabilities move when the window moves by one sampled frame. The
KL error is the symmetric divergence between a clip and the same clip taken one frame of the camera later: the
same action, sampled at another instant, on which a steady network says the same. A flip is a window whose
label is not that of the window before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vedette_edge.clips import ClipStream
from vedette_edge.manifest import Decision, InputSpec
from vedette_edge.types import FloatArray, Frame
from vedette_edge.video import read_frames
from vedette_train.explain.subjects import Subject
from vedette_train.explain.view import Footage, Times, Window, as_window, batches, frame_count, probabilities
from vedette_train.metrics import Interval

__all__ = ["Steadiness", "divergence", "drawn_of", "flips", "measure", "summarise"]

_DRAWS = 1000
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Steadiness:
    """One video, N windows.

    Attributes:
        subject: the video.
        footage: what it turned out to be.
        frames: (N,) int, the number of the camera's frame that ends each window, from 0.
        times: (N,) seconds, when that frame was taken.
        probabilities: (N, K) float32.
        jitter: (N,) nats, NaN for the first window.
        kl_error: (N,) nats, NaN where the video ends before the later clip.
    """

    subject: Subject
    footage: Footage
    frames: tuple[int, ...]
    times: Times
    probabilities: FloatArray
    jitter: FloatArray
    kl_error: FloatArray

    def labels(self, names: Sequence[str]) -> list[str]:
        """Return the label of each window."""
        return [names[index] for index in self.probabilities.argmax(axis=1)]

    def right(self, names: Sequence[str]) -> list[bool] | None:
        """Tell of each window whether its label is the true one; None where that is not known."""
        truth = self.subject.truth
        return None if truth is None else [label == truth for label in self.labels(names)]


def divergence(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return KL(p || q) in nats of rows of probabilities, (N, K) to (N,) float32."""
    least = np.finfo(np.float32).tiny
    p, q = np.maximum(p, least), np.maximum(q, least)
    return np.asarray((p * (np.log(p) - np.log(q))).sum(axis=1), dtype=np.float32)


def measure(
    network: nn.Module,
    subject: Subject,
    spec: InputSpec,
    decision: Decision,
    on_frame: Callable[[int, int], None] | None = None,
) -> Steadiness:
    """Let a network judge all windows of a video; it is decoded once.

    Args:
        network: in evaluation mode.
        subject: the video.
        spec: the network's input.
        decision: its temperature; not its hop.
        on_frame: called with (frames read, frames stated by the file).

    Raises:
        VideoError: when the video cannot be read.
    """
    device = next(network.parameters()).device
    footage = Footage()
    numbers: list[int] = []
    alone: list[bool] = []
    times: list[float] = []
    rows: list[FloatArray] = []

    def side_by_side() -> Iterator[Window]:
        for window, twin, number in _window_pairs(subject.path, spec, footage, on_frame):
            numbers.append(number)
            times.append(float(window.times[-1]))
            alone.append(twin is None)
            yield window
            yield twin or window

    with torch.inference_mode():
        for batch in batches(side_by_side()):
            clips = torch.from_numpy(np.concatenate([window.tensor for window in batch])).to(device)
            rows.append(probabilities(network(clips), decision))
    judged = np.concatenate(rows)
    first, second = judged[0::2], judged[1::2]
    jitter = np.concatenate([np.full(1, np.nan, np.float32), divergence(first[:-1], first[1:])])
    apart = np.float32(0.5) * (divergence(first, second) + divergence(second, first))
    apart[alone] = np.nan
    return Steadiness(subject, footage, tuple(numbers), np.array(times), first, jitter, apart)


def summarise(found: Sequence[Steadiness], names: Sequence[str]) -> dict[str, Interval | None]:
    """Return accuracy of windows, mean jitter, mean KL error and label flips a minute, over all videos.

    Each is a sum over all videos divided by another. The intervals are 95 % bootstrap intervals that draw
    groups, or videos where there is only one group (`drawn_of` says which), with how many there were to draw;
    one has no interval to speak of. A figure that no video gives is None.
    """
    known = [one for one in found if one.subject.truth is not None]
    by_group = drawn_of(found) == "groups"

    def unit(one: Steadiness) -> str:
        return one.subject.group if by_group else one.subject.stem

    return {
        "accuracy": _ratio([(unit(one), sum(one.right(names) or ()), len(one.frames)) for one in known]),
        "jitter": _ratio([(unit(one), *_sum_and_count(one.jitter)) for one in found]),
        "kl_error": _ratio([(unit(one), *_sum_and_count(one.kl_error)) for one in found]),
        "flips_per_minute": _ratio(
            [(unit(one), len(flips(one.labels(names))), (one.times[-1] - one.times[0]) / 60) for one in found]
        ),
    }


def drawn_of(found: Sequence[Steadiness]) -> str:
    """Return what a bootstrap draws: "groups", or "videos" where there is only one group."""
    return "groups" if len({one.subject.group for one in found}) > 1 else "videos"


def _window_pairs(
    path: Path, spec: InputSpec, footage: Footage, on_frame: Callable[[int, int], None] | None
) -> Iterator[tuple[Window, Window | None, int]]:
    """Yield each window, the same window one frame of the camera later, and the number of its last frame.

    The later one is that of a second stream, whose pictures come one frame early: at the same ticks it
    shows what comes next. There is none for the window that ends with the video.
    """
    stream, early = ClipStream(spec, hop=1), ClipStream(spec, hop=1)
    waiting: list[tuple[Window, int]] = []
    total = frame_count(path) if on_frame else 0
    before: Frame | None = None
    for frame in read_frames(path, spec.fps):
        if before is not None:
            for clip in early.push(Frame(frame.image, before.time))[0]:
                window, number = waiting.pop(0)
                yield window, as_window(clip, spec), number
        clips, _ = stream.push(footage.count(frame))
        waiting += [(as_window(clip, spec), footage.frames - 1) for clip in clips]
        before = frame
        if on_frame:
            on_frame(footage.frames, max(total, footage.frames))
    for window, number in waiting:
        yield window, None, number
    for clip in stream.finish():
        twin = next((as_window(twin, spec) for twin in early.finish()), None)
        yield as_window(clip, spec), twin, footage.frames - 1


def _ratio(rows: Sequence[tuple[str, float, float]]) -> Interval | None:
    """Return sum over sum with its bootstrap interval over units; rows are (unit, part, whole)."""
    units, members = np.unique([unit for unit, _, _ in rows], return_inverse=True)
    parts = np.bincount(members, [part for _, part, _ in rows], len(units))
    wholes = np.bincount(members, [whole for _, _, whole in rows], len(units))
    counted = wholes > 0
    parts, wholes = parts[counted], wholes[counted]
    if not len(wholes):
        return None
    drawn = np.random.default_rng(0).integers(len(wholes), size=(_DRAWS, len(wholes)))
    values = parts[drawn].sum(axis=1) / wholes[drawn].sum(axis=1)
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(float(parts.sum() / wholes.sum()), float(low), float(high), len(wholes))


def _sum_and_count(values: NDArray[np.float32]) -> tuple[float, int]:
    known = values[~np.isnan(values)]
    return float(known.sum()), len(known)


def flips(labels: Sequence[str]) -> list[int]:
    """Return the windows, counted from 0, whose label is not that of the window before."""
    return [index for index, (old, new) in enumerate(pairwise(labels), start=1) if old != new]
