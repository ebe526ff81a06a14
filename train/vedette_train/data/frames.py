"""Sampled frames of every video, decoded once and kept on disk as plain arrays.

A video is decoded at the model's frame rate and a little larger than the model's input (room for random
crops). What is kept is never augmented, so each epoch draws anew. Files are named by everything
that they depend on, so a changed video or setting never meets an old array.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vedette_edge.errors import DataError, VideoError
from vedette_edge.files import write_atomically
from vedette_edge.manifest import InputSpec
from vedette_edge.preprocess import fit
from vedette_edge.sampling import TickSampler
from vedette_edge.video import read_frames
from vedette_train.data.folder import Video

__all__ = ["Unreadable", "cache_directory", "load_frames", "prepare_frames", "sampled_frames"]

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


def sampled_frames(path: Path, spec: InputSpec) -> NDArray[np.uint8]:
    """Decode a video at `spec.fps`, each frame fitted to the spec.

    Returns:
        (N, spec.height, spec.width, 3) uint8 in `spec.color` order, one picture a tick.

    Raises:
        VideoError: when the video cannot be read.
    """
    ticks = TickSampler(spec.fps)
    pictures: list[NDArray[np.uint8]] = []
    for frame in read_frames(path):
        count, _ = ticks.push(frame.time)
        if count:
            pictures.extend([fit(frame.image, spec)] * count)
    return np.stack(pictures)


def prepare_frames(
    videos: Sequence[Video],
    spec: InputSpec,
    cache: Path,
    *,
    max_unreadable: float = 0.05,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Video], list[Unreadable]]:
    """Decode every video that is not kept yet.

    Args:
        videos: the dataset.
        spec: size, rate and crop to keep.
        cache: folder for the arrays.
        max_unreadable: share of videos that may be unreadable, 0..1.
        on_progress: called with (done, total).

    Returns:
        The readable videos, in order, and the others with their reasons.

    Raises:
        DataError: when more than `max_unreadable` of the videos cannot be read; names them.
    """
    cache.mkdir(parents=True, exist_ok=True)
    readable: list[Video] = []
    unreadable: list[Unreadable] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        reasons = pool.map(lambda video: _keep(video, spec, cache), videos)
        for done, (video, reason) in enumerate(zip(videos, reasons, strict=True), start=1):
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
    try:
        path = _kept_path(video, spec, cache)
        frames: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{video.path}: its decoded frames are gone from {cache} ({error})") from error
    return frames


def _keep(video: Video, spec: InputSpec, cache: Path) -> str | None:
    """Decode and keep a video unless that was done; return the reason where it cannot be read."""
    try:
        path = _kept_path(video, spec, cache)
        if not path.exists():
            frames = sampled_frames(video.path, spec)
            buffer = io.BytesIO()
            np.save(buffer, frames, allow_pickle=False)
            write_atomically(path, buffer.getvalue())
    except VideoError as error:
        return str(error)
    except FileNotFoundError:
        return f"{video.path}: no such video file"
    return None


def _kept_path(video: Video, spec: InputSpec, cache: Path) -> Path:
    stat = video.path.stat()
    depends_on = (
        _LAYOUT,
        str(video.path.resolve()),
        stat.st_size,
        stat.st_mtime_ns,
        (spec.fps, spec.height, spec.width, spec.crop, spec.color, spec.mean),
    )
    return cache / f"{hashlib.sha256(repr(depends_on).encode()).hexdigest()[:32]}.npy"
