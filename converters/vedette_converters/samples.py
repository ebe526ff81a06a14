"""The samples of a proof, each read and judged by the PyTorch network once, however many variants are proved.

They lie in a temporary folder: decoding a video again for each variant would cost more than running them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vedette_converters.reference import clip_outputs, stream_outputs
from vedette_converters.subjects import Judgeable, Subject
from vedette_edge.drift.features import picture_statistics
from vedette_edge.manifest import InputSpec
from vedette_edge.preprocess import to_tensor
from vedette_edge.types import FloatArray, Outputs
from vedette_train.models import HeatmapModel

__all__ = ["Golden", "Samples", "Seen", "read_samples"]

_GOLDEN = 2


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A video or picture as one mode sees it, with the outputs of the PyTorch network.

    Attributes:
        truth: index of its label.
        path: `.npy` of the input: clips (N, C, T, H, W), or a stream (1, C, n, H, W); float32.
        reference: a row a clip, or a row a frame of the stream.
        judged: the rows by whose mean the video is judged.
    """

    truth: int
    path: Path
    reference: Outputs
    judged: slice

    @property
    def tensor(self) -> FloatArray:
        """The input, as long as `read_samples` is open."""
        found: FloatArray = np.load(self.path, mmap_mode="r")
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """Windows that go into the bundle: (N, T, H, W, 3) uint8 with the outputs of the PyTorch network."""

    frames: NDArray[np.uint8]
    tensor: FloatArray
    outputs: Outputs


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Everything that a proof looks at.

    Attributes:
        clips: the samples, as clips.
        pictures: for each of them (N, 2), brightness and contrast of the last frame of each window.
        streams: the samples, as streams, where a stream can be asked for.
        golden: what goes into the bundle.
    """

    clips: Sequence[Seen]
    pictures: Sequence[NDArray[np.float32]]
    streams: Sequence[Seen]
    golden: Golden


@contextmanager
def read_samples(
    subject: Subject, hop: int, on_progress: Callable[[int, int], None] | None = None
) -> Iterator[Samples]:
    """Read and judge what a run reports on.

    Args:
        subject: the run.
        hop: sampled frames from one window to the next.
        on_progress: called with (done, total) samples.

    Raises:
        DataError: when the dataset or a sample is not there.
    """
    network, spec = subject.network, subject.description.input
    with tempfile.TemporaryDirectory(prefix="vedette-convert-") as folder:
        clips, pictures, streams = [], [], []
        golden: dict[int, tuple[NDArray[np.uint8], FloatArray]] = {}
        for number, item in enumerate(subject.judgeables()):
            path = Path(folder) / f"{number}-clips.npy"
            np.save(path, item.tensor)
            clips.append(Seen(item.truth, path, clip_outputs(network, item.tensor), slice(None)))
            pictures.append(np.array([picture_statistics(one[-1]) for one in item.frames], np.float32))
            if item.stream is not None:
                streams.append(
                    _stream(item, item.stream, network, spec, hop, path.with_name(f"{number}.npy"))
                )
            if len(golden) < _GOLDEN and item.truth not in golden:
                golden[item.truth] = _alone(item, spec)
            if on_progress:
                on_progress(number + 1, subject.reported)
        yield Samples(clips, pictures, streams, _golden(network, list(golden.values())))


def _stream(
    item: Judgeable, stream: FloatArray, network: HeatmapModel, spec: InputSpec, hop: int, path: Path
) -> Seen:
    np.save(path, stream)
    # Where a clip would end; a video that is shorter than a clip is judged at its end.
    first = min(spec.frames, stream.shape[2]) - 1
    return Seen(item.truth, path, stream_outputs(network, stream, spec.frames), slice(first, None, hop))


def _alone(item: Judgeable, spec: InputSpec) -> tuple[NDArray[np.uint8], FloatArray]:
    """Return a sample's first window as its frames alone make it, which are all that the device is given."""
    frames = item.frames[0]
    return frames, to_tensor(list(frames), spec)


def _golden(network: HeatmapModel, windows: Sequence[tuple[NDArray[np.uint8], FloatArray]]) -> Golden:
    tensor = np.concatenate([tensor for _, tensor in windows])
    return Golden(np.stack([frames for frames, _ in windows]), tensor, clip_outputs(network, tensor))
