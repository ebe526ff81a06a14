"""One video as a network sees it: a label, its probability and a map for each window.

The windows are those of `edge-agent`. A video is read twice by those who draw it, once here and once for its
pictures, so that its length is bounded by patience and not by memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vedette_edge.clips import ClipStream, Sampled, clip_tensor
from vedette_edge.errors import UsageError
from vedette_edge.manifest import Cells, Decision, InputSpec
from vedette_edge.sampling import Clip
from vedette_edge.types import FloatArray, Frame
from vedette_edge.video import read_frames
from vedette_train.explain.cam import Evidence, Explainer, cells_of
from vedette_train.runs import Run

__all__ = [
    "Footage",
    "Times",
    "View",
    "Window",
    "as_window",
    "batches",
    "frame_count",
    "index_of",
    "look",
    "on_device",
    "probabilities",
]

Times = NDArray[np.float64]
BATCH = 8


@dataclass(frozen=True, slots=True)
class Window:
    """One clip of a video.

    Attributes:
        tensor: (1, C, T, H, W) float32, the network's input.
        times: (T,) seconds, when its frames were taken.
    """

    tensor: FloatArray
    times: Times


@dataclass(slots=True)
class Footage:
    """What a video turned out to be, while it was read."""

    frames: int = 0
    width: int = 0
    height: int = 0
    seconds: float = 0.0

    def count(self, frame: Frame) -> Frame:
        """Take note of a frame and pass it on."""
        self.frames += 1
        self.height, self.width = frame.image.shape[:2]
        self.seconds = frame.time
        return frame

    @property
    def fps(self) -> float:
        """Mean frame rate; 25 for a single picture. Of a folder of pictures, the rate that it was read at."""
        return (self.frames - 1) / self.seconds if self.seconds > 0 else 25.0


@dataclass(frozen=True, slots=True)
class View:
    """A video as a network sees it, N windows.

    Attributes:
        footage: the video.
        times: (N, T) seconds, when the frames of each window were taken.
        probabilities: (N, K) float32.
        shown: (N,) int, the class that each map speaks of.
        maps: (N, T', H', W') float32, signed evidence for that class.
        cells: where the cells lie in the network's input.
    """

    footage: Footage
    times: Times
    probabilities: FloatArray
    shown: NDArray[np.int64]
    maps: FloatArray
    cells: Cells | None

    @property
    def middles(self) -> Times:
        """The times that the windows' labels speak of, (N,) seconds."""
        return np.asarray((self.times[:, 0] + self.times[:, -1]) / 2)

    @property
    def mean(self) -> FloatArray:
        """The probabilities of the whole video, (K,): the mean over its windows."""
        return np.asarray(self.probabilities.mean(axis=0))


def look(
    network: nn.Module,
    path: Path,
    spec: InputSpec,
    decision: Decision,
    explain: Explainer,
    on_frame: Callable[[int, int], None] | None = None,
) -> View:
    """Let a network look at a video.

    Args:
        network: in evaluation mode.
        path: the video.
        spec: its input.
        decision: its `hop` and `temperature`.
        explain: from `cam.explainer`.
        on_frame: called with (frames read, frames stated by the file).

    Raises:
        VideoError: when the video cannot be read.
    """
    device = next(network.parameters()).device
    footage = Footage()
    times: list[Times] = []
    found: list[Evidence] = []
    for batch in batches(_windows(path, spec, decision.hop, footage, on_frame)):
        times += [window.times for window in batch]
        clips = torch.from_numpy(np.concatenate([window.tensor for window in batch])).to(device)
        found.append(Evidence(*(part.cpu() for part in explain(clips))))
    maps = torch.cat([one.maps for one in found]).float().numpy()
    return View(
        footage,
        np.stack(times),
        probabilities(torch.cat([one.logits for one in found]), decision),
        torch.cat([one.shown for one in found]).numpy(),
        maps,
        cells_of(network, spec.height, maps.shape[2]),
    )


def on_device(run: Run) -> nn.Module:
    """Return the run's network on the GPU where there is one.

    Raises:
        DataError: when its weights cannot be loaded.
    """
    return run.network().to("cuda" if torch.cuda.is_available() else "cpu")


def index_of(label: str | None, labels: Sequence[str]) -> int | None:
    """Return the place of a class in the network's output; None for None.

    Raises:
        UsageError: when the network does not know it.
    """
    if label is None:
        return None
    if label not in labels:
        raise UsageError(f"no class '{label}'; this run knows: {', '.join(labels)}")
    return labels.index(label)


def probabilities(logits: Tensor, decision: Decision) -> FloatArray:
    """Return (N, K) probabilities at the temperature of the decision."""
    return np.asarray(torch.softmax(logits.float() / decision.temperature, dim=1).cpu().numpy())


def batches(windows: Iterator[Window], size: int = BATCH) -> Iterator[list[Window]]:
    """Yield up to `size` windows at a time."""
    while batch := list(islice(windows, size)):
        yield batch


def frame_count(path: Path) -> int:
    """Return how many frames the file says it has; 0 where it does not. For progress bars only."""
    if not path.is_file():
        return 0
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        return max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    finally:
        capture.release()


def as_window(clip: Clip[Sampled], spec: InputSpec) -> Window:
    """Keep of a clip what the network needs, so that its pictures can be forgotten."""
    return Window(clip_tensor(clip, spec), np.array([item.frame.time for item in clip.items]))


def _windows(
    path: Path, spec: InputSpec, hop: int, footage: Footage, on_frame: Callable[[int, int], None] | None
) -> Iterator[Window]:
    stream = ClipStream(spec, hop)
    total = frame_count(path) if on_frame else 0
    for frame in read_frames(path, spec.fps):
        for clip in stream.push(footage.count(frame))[0]:
            yield as_window(clip, spec)
        if on_frame:
            on_frame(footage.frames, max(total, footage.frames))
    for clip in stream.finish():
        yield as_window(clip, spec)
