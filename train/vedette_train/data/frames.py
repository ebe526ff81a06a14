"""Sampled frames of every video, and their optical flow, computed once and kept on disk as plain arrays.

A video is decoded at the model's frame rate and a little larger than the model's input (room for random
crops). What is kept is never augmented, so each epoch draws anew. Files are named by everything
that they depend on, so a changed video or setting never meets an old array. Arrays are memory-mapped:
a clip reads only its own frames, and what was read lately stays in the system's page cache.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vedette_edge.errors import DataError, VideoError
from vedette_edge.files import write_atomically
from vedette_edge.flow import FlowStream
from vedette_edge.manifest import InputSpec
from vedette_edge.preprocess import fit
from vedette_edge.sampling import TickSampler
from vedette_edge.video import read_frames
from vedette_train.data.folder import Video, stamp
from vedette_train.data.parallel import each, each_on_ray, processes

__all__ = [
    "Shelf",
    "Unreadable",
    "cache_directory",
    "kept_files",
    "load_flow",
    "load_frames",
    "prepare_frames",
    "sampled",
]

_LAYOUT = 1  # rises when the meaning of a kept file changes


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A video that was left out, and why."""

    video: Video
    reason: str


def cache_directory() -> Path:
    """Return the folder for kept frames: $XDG_CACHE_HOME/vedette/frames, or ~/.cache/vedette/frames."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "vedette" / "frames"


def sampled(path: Path, spec: InputSpec) -> tuple[NDArray[np.uint8], NDArray[np.float16] | None]:
    """Decode a video at `spec.fps`, each frame fitted to the spec, with its flow where `spec.flow` is set.

    Returns:
        The frames, (N, spec.height, spec.width, 3) uint8 in `spec.color` order, one picture a tick; and
        the flow of each from the one before it, (N, spec.height, spec.width, 2) float16 pixels, x to the
        right, y downwards: zero for the first, after a gap, and where a picture stands for a further tick.

    Raises:
        VideoError: when the video cannot be read.
    """
    ticks = TickSampler(spec.fps)
    stream = FlowStream(spec.flow, spec.color) if spec.flow else None
    pictures: list[NDArray[np.uint8]] = []
    fields: list[NDArray[np.float16]] = []
    for frame in read_frames(path, spec.fps):
        count, anew = ticks.push(frame.time)
        if not count:
            continue
        picture = fit(frame.image, spec)
        pictures.extend([picture] * count)
        if stream:
            if anew:
                stream.reset()
            field = stream.push(picture).astype(np.float16)
            fields.extend([field, *[np.zeros_like(field)] * (count - 1)])
    return np.stack(pictures), np.stack(fields) if fields else None


def prepare_frames(
    videos: Sequence[Video],
    spec: InputSpec,
    cache: Path,
    *,
    max_unreadable: float = 0.05,
    workers: int | None = None,
    ray: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Video], list[Unreadable]]:
    """Decode every video that is not kept yet, over several processes where that pays.

    Args:
        videos: the dataset.
        spec: size, rate, crop and flow to keep.
        cache: folder for the arrays.
        max_unreadable: share of videos that may be unreadable, 0..1.
        workers: processes; None: one a core.
        ray: address of a Ray cluster to do it instead; its nodes must share the videos and `cache`.
        on_progress: called with (done, total).

    Returns:
        The readable videos, in order, and the others with their reasons.

    Raises:
        DataError: when more than `max_unreadable` of the videos cannot be read; names them. When an array
            cannot be written; what was finished is kept, and the next call goes on from there.
        MissingExtraError: when `ray` is given and not installed.
    """
    _make(cache)
    waiting = [video for video in videos if not _is_kept(video, spec, cache)]
    keep = partial(_keep, spec=spec, cache=cache.absolute())
    if ray:
        # Its processes have another working directory.
        absolute = [replace(video, path=video.path.absolute()) for video in waiting]
        found: Iterable[str | None] = each_on_ray(keep, absolute, ray)
    else:
        size = sum(stamp(video.path)[0] for video in waiting if video.path.exists())
        found = each(keep, waiting, processes(size, workers))
    reasons = iter(found)
    to_do = set(waiting)
    readable: list[Video] = []
    unreadable: list[Unreadable] = []
    for done, video in enumerate(videos, start=1):
        reason = next(reasons) if video in to_do else None
        if reason is None:
            readable.append(video)
        else:
            unreadable.append(Unreadable(video, reason))
        if on_progress:
            on_progress(done, len(videos))
    if len(unreadable) > max_unreadable * len(videos):
        listing = "; ".join(item.reason for item in unreadable[:10])
        raise DataError(
            f"{len(unreadable)} of {len(videos)} videos cannot be read, more than the "
            f"{max_unreadable:.0%} that data.max_unreadable allows: {listing}"
        )
    return readable, unreadable


def load_frames(video: Video, spec: InputSpec, cache: Path) -> NDArray[np.uint8]:
    """Return the kept frames of a video, memory-mapped: (N, H, W, 3) uint8.

    Raises:
        DataError: when they were not prepared, or the video changed since.
    """
    return np.asanyarray(_open(video, _places(video, spec, cache)[0]), dtype=np.uint8)


def load_flow(video: Video, spec: InputSpec, cache: Path) -> NDArray[np.float16]:
    """Return the kept flow of a video's frames, memory-mapped: (N, H, W, 2) float16, in pixels of its size.

    Raises:
        DataError: when it was not prepared, or the video changed since.
    """
    return np.asanyarray(_open(video, _places(video, spec, cache)[1]), dtype=np.float16)


def kept_files(video: Video, spec: InputSpec, cache: Path) -> list[Path]:
    """Return where the frames of a video are kept and, where `spec.flow` is set, second, their flow.

    Raises:
        FileNotFoundError: when there is no such video.
    """
    size, changed = stamp(video.path)
    frames = (
        _LAYOUT,
        str(video.path.resolve()),
        size,
        changed,
        (spec.fps, spec.height, spec.width, spec.crop, spec.color, spec.mean),
    )
    names = [_digest(frames)]
    if spec.flow:
        # The bound is applied when a clip is made.
        names.append(f"{_digest((*frames, spec.flow.model_dump_json(exclude={'bound'})))}.flow")
    return [cache / f"{name}.npy" for name in names]


class Shelf:
    """The kept frames of a dataset; where those of a video lie is looked up once."""

    def __init__(self, spec: InputSpec, cache: Path) -> None:
        """Read what was kept of `spec` in `cache`."""
        self._spec = spec
        self._cache = cache
        self._places: dict[Path, list[Path]] = {}

    def load(self, video: Video) -> tuple[NDArray[np.uint8], NDArray[np.float16] | None]:
        """Return the frames of a video and, where the spec has flow, their flow, both memory-mapped.

        Raises:
            DataError: when they were not prepared.
        """
        if video.path not in self._places:
            self._places[video.path] = _places(video, self._spec, self._cache)
        places = self._places[video.path]
        frames = np.asanyarray(_open(video, places[0]), dtype=np.uint8)
        flow = np.asanyarray(_open(video, places[1]), dtype=np.float16) if self._spec.flow else None
        return frames, flow


def _places(video: Video, spec: InputSpec, cache: Path) -> list[Path]:
    try:
        return kept_files(video, spec, cache)
    except OSError as error:
        raise DataError(f"{video.path}: its decoded frames are gone from {cache} ({error})") from error


def _open(video: Video, path: Path) -> NDArray[np.generic]:
    try:
        array: NDArray[np.generic] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{video.path}: its decoded frames are gone from {path.parent} ({error})") from error
    return array


def _is_kept(video: Video, spec: InputSpec, cache: Path) -> bool:
    try:
        return all(path.exists() for path in kept_files(video, spec, cache))
    except FileNotFoundError:
        return False


def _keep(video: Video, spec: InputSpec, cache: Path) -> str | None:
    """Decode and keep a video; return the reason where it cannot be read."""
    try:
        paths = kept_files(video, spec, cache)
        arrays = sampled(video.path, spec)
    except VideoError as error:
        return str(error)
    except FileNotFoundError:
        return f"{video.path}: no such video file"
    for path, array in zip(paths, arrays, strict=False):
        if array is not None and not path.exists():
            _write(path, array)
    return None


def _write(path: Path, array: NDArray[np.generic]) -> None:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    try:
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        raise _refused(path.parent, error) from error


def _make(cache: Path) -> None:
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(cache, error) from error


def _refused(cache: Path, error: OSError) -> DataError:
    return DataError(
        f"{cache}: decoded frames cannot be written ({error.strerror}); make room, or choose another place "
        "with XDG_CACHE_HOME; the next call goes on from what was finished"
    )


def _digest(depends_on: tuple[object, ...]) -> str:
    return hashlib.sha256(repr(depends_on).encode()).hexdigest()[:32]
