"""Whole videos as `.npy` files (T, H, W, 5): red, green, blue, flow x, flow y; and clips read from them.

The format of the published dual-stream code, in two encodings:

    repaired    float16: the picture 0..255, the flow in pixels from the frame before; the first is zero
    faithful    uint8: the flow to the frame after, stretched to 0..255 frame by frame; the last is zero

All frames of a video are kept, at its own rate. Sources are {train,val,test}/<class>/<video> or
<class>/<video>, and the files lie in the same folders of the destination.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from vedette_edge.errors import DataError, VideoError
from vedette_edge.files import write_atomically
from vedette_edge.flow import FlowStream, to_channels
from vedette_edge.manifest import InputSpec
from vedette_edge.preprocess import fit
from vedette_edge.types import FloatArray
from vedette_edge.video import read_frames
from vedette_train.data.faithful import encode_flow, normalise
from vedette_train.data.folder import stamp
from vedette_train.data.layouts import class_folders, part_folders, suggest, videos_in
from vedette_train.data.parallel import each, processes

__all__ = ["Encoding", "load_clip", "validate_clip", "write_arrays"]

Encoding = Literal["repaired", "faithful"]
_DTYPE = {"repaired": np.float16, "faithful": np.uint8}
_LEAST_STD = 1e-5


def write_arrays(
    source: Path,
    out: Path,
    spec: InputSpec,
    encoding: Encoding = "repaired",
    *,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Path], dict[Path, str]]:
    """Write an array for each video of a dataset, unless it is there.

    Args:
        source: the dataset.
        out: gets the same folders.
        spec: `height`, `width`, `crop` and `flow`; of flow `bound` is not applied.
        encoding: see above.
        workers: processes; None: one a core.
        on_progress: called with (done, total).

    Returns:
        The files, and the reason for each video that cannot be read.

    Raises:
        DataError: when the source has no videos in a known layout, or a file cannot be written.
    """
    places = part_folders(source) or ({"": source} if source.is_dir() else {})
    jobs = [
        (video, out / folder.relative_to(source) / f"{video.stem if video.is_file() else video.name}.npy")
        for place in places.values()
        for folder in class_folders(place)
        for video in videos_in(folder)
    ]
    if not jobs:
        raise DataError(
            f"{source}: expected {{train,val,test}}/<class>/<video> or <class>/<video>{suggest(source)}"
        )
    written: list[Path] = []
    unreadable: dict[Path, str] = {}
    size = sum(stamp(video)[0] for video, _ in jobs if video.exists())
    reasons = each(partial(_write, spec=spec, encoding=encoding), jobs, processes(size, workers))
    for done, ((video, path), reason) in enumerate(zip(jobs, reasons, strict=True), start=1):
        if reason is None:
            written.append(path)
        else:
            unreadable[video] = reason
        if on_progress:
            on_progress(done, len(jobs))
    return written, unreadable


def load_clip(path: Path, spec: InputSpec, start: int | None = None, *, faithful: bool = False) -> FloatArray:
    """Return one clip of a file as the network's input.

    Args:
        path: a file of either encoding.
        spec: the network's input; its size must be the file's.
        start: the first frame; None: the middle of the video. A short video repeats its last frame.
        faithful: of a uint8 file, normalise as published (`faithful.normalise`). Otherwise its flow is taken
            for (v - 128) / 127, which is -1..1 and about 0 at rest.

    Returns:
        (1, 5, spec.frames, spec.height, spec.width) float32.

    Raises:
        DataError: when the file cannot be read, or does not hold what it should.
    """
    try:
        video = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not an array of a video ({error})") from error
    expected = (spec.height, spec.width, 5)
    if video.ndim != 4 or video.shape[1:] != expected or not len(video) or video.dtype not in _DTYPE.values():
        raise DataError(
            f"{path}: expected (T, {', '.join(map(str, expected))}) float16 or uint8, "
            f"found {video.shape} {video.dtype}"
        )
    first = max(0, len(video) - spec.frames) // 2 if start is None else min(start, len(video) - 1)
    found = np.array(video[first : first + spec.frames])
    clip = np.concatenate([found, np.repeat(found[-1:], spec.frames - len(found), axis=0)])
    if faithful and clip.dtype == np.uint8:
        tensor = normalise(torch.from_numpy(clip).permute(0, 3, 1, 2), spec)
        return np.ascontiguousarray(tensor.transpose(0, 1)[None].numpy())
    return _as_input(clip, len(found), spec)


def validate_clip(clip: NDArray[np.generic], label: object, spec: InputSpec, classes: int = 2) -> None:
    """Check a clip before it is learnt from: shape, finite, in -1..1, not constant, and its label.

    Args:
        clip: should be (5, spec.frames, spec.height, spec.width); any real dtype.
        label: should be a whole number in 0..classes-1.
        spec: the network's input.
        classes: number of labels.

    Raises:
        DataError: names the check that failed, what was found and what was expected.
    """
    values = np.asarray(clip, dtype=np.float64)
    expected = (spec.channels, spec.frames, spec.height, spec.width)
    if values.shape != expected:
        raise DataError(f"clip: expected shape {expected}, found {values.shape}")
    if not np.isfinite(values).all():
        raise DataError(f"clip: {int((~np.isfinite(values)).sum())} values are not finite")
    if values.min() < -1.0 or values.max() > 1.0:
        raise DataError(f"clip: expected values in -1..1, found {values.min():.4g}..{values.max():.4g}")
    if values.std() < _LEAST_STD:
        raise DataError(f"clip: it is constant (standard deviation {values.std():.2g})")
    if isinstance(label, bool) or not isinstance(label, int | np.integer) or not 0 <= label < classes:
        raise DataError(f"label: expected a whole number in 0..{classes - 1}, found {label!r}")


def _as_input(clip: NDArray[np.generic], real: int, spec: InputSpec) -> FloatArray:
    """Normalise a clip of which the first `real` frames are no padding; (1, 5, T, H, W)."""
    values = clip.astype(np.float32)
    mean, std = (np.asarray(v, dtype=np.float32) for v in (spec.mean, spec.std))
    pictures = (values[..., :3] / np.float32(255.0) - mean) / std
    if clip.dtype == np.uint8:
        flow: FloatArray = np.clip((values[..., 3:] - 128.0) / 127.0, -1.0, 1.0).astype(np.float32)
    else:
        assert spec.flow is not None
        flow = to_channels(values[..., 3:], spec.flow)
    flow[real:] = 0.0
    joined = np.concatenate([pictures, flow], axis=3).transpose(3, 0, 1, 2)
    return np.ascontiguousarray(joined[np.newaxis], dtype=np.float32)


def _write(job: tuple[Path, Path], spec: InputSpec, encoding: Encoding) -> str | None:
    video, path = job
    if _is_written(path, encoding):
        return None
    try:
        array = _encode(video, spec, encoding)
    except VideoError as error:
        return str(error)
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror}); make room or choose another --out; the next call "
            "goes on from what was finished"
        ) from error
    return None


def _is_written(path: Path, encoding: Encoding) -> bool:
    if not path.is_file():
        return False
    try:
        return bool(np.load(path, mmap_mode="r", allow_pickle=False).dtype == _DTYPE[encoding])
    except (OSError, ValueError, EOFError):
        return False


def _encode(video: Path, spec: InputSpec, encoding: Encoding) -> NDArray[np.generic]:
    """Return (T, H, W, 5) of all frames of a video."""
    assert spec.flow is not None
    stream = FlowStream(spec.flow, "rgb")
    pictures, fields = [], []
    for frame in read_frames(video):
        picture = fit(frame.image, spec.model_copy(update={"color": "rgb"}))
        pictures.append(picture)
        fields.append(stream.push(picture))
    if encoding == "repaired":
        # Whole numbers up to 2048 are exact in float16.
        return np.concatenate([np.stack(pictures), np.stack(fields)], axis=3, dtype=np.float16)
    forwards = torch.from_numpy(np.stack([*fields[1:], np.zeros_like(fields[0])])).permute(0, 3, 1, 2)
    return np.concatenate([np.stack(pictures), encode_flow(forwards).permute(0, 2, 3, 1).numpy()], axis=3)
