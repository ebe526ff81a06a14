"""Clips for training: read from prepared frames against decoded from video, and against a training step."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

# Before torchvision is imported.
import vedette_train.torchvision_compat  # noqa: F401

import numpy as np
import torch
from paired import compare
from torch.utils.data import default_collate

from vedette_edge.flow import FlowStream
from vedette_edge.manifest import FlowSpec, InputSpec
from vedette_edge.preprocess import fit
from vedette_edge.sampling import TickSampler
from vedette_edge.video import read_frames
from vedette_train.data.augment import ClipAugmentation
from vedette_train.data.clips import TrainClips, larger
from vedette_train.data.folder import Video, scan
from vedette_train.data.frames import load_flow, load_frames, prepare_frames
from vedette_train.data.synthetic import write_dataset
from vedette_train.memory import keep_freed_memory
from vedette_train.models import create_model
from vedette_train.recipe import AugmentSettings

_VIDEOS, _BATCH = 8, 4


def spec(streams: str) -> InputSpec:
    """Return the input of a small network."""
    return InputSpec.model_validate(
        {
            "frames": 16,
            "fps": 8.0,
            "height": 112,
            "width": 112,
            "crop": "stretch",
            "color": "rgb",
            "axes": "NCTHW",
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
            "streams": streams,
            "flow": FlowSpec() if "flow" in streams else None,
        }
    )


def run() -> Iterator[str]:
    """Yield one line a comparison."""
    keep_freed_memory()  # as `fit` does
    with tempfile.TemporaryDirectory() as folder:
        root, cache = Path(folder) / "data", Path(folder) / "cache"
        write_dataset(root, clips_per_class=2, seconds=4.0, seed=0, workers=2)
        videos = scan(root).videos[:_VIDEOS]
        for streams in ("rgb", "rgb+flow"):
            yield from _reading(videos, spec(streams), cache)
        yield _waiting(videos, spec("rgb"), cache)


def _reading(videos: Sequence[Video], network: InputSpec, cache: Path) -> Iterator[str]:
    kept = larger(network)
    prepare_frames(videos, kept, cache)
    clips = TrainClips(videos, network, cache, ClipAugmentation(network, AugmentSettings()))
    name = f"{len(videos)} clips {network.streams}"
    for video in videos:
        for one, other in zip(_decoded(video, kept), _prepared(video, kept, cache), strict=True):
            assert np.array_equal(one, other), "not the same clips"
    lines = (
        ("read prepared against decoded", lambda: [_prepared(video, kept, cache) for video in videos]),
        ("and augmented, against only decoded", lambda: [clips[i] for i in range(len(videos))]),
    )
    for what, subject in lines:
        yield str(compare(f"{name}, {what}", subject, lambda: [_decoded(v, kept) for v in videos], pairs=5))


def _waiting(videos: Sequence[Video], network: InputSpec, cache: Path) -> str:
    clips = TrainClips(videos, network, cache, ClipAugmentation(network, AugmentSettings()))
    model = create_model("mobilenet_v2_3d", num_classes=6).train()

    def load() -> torch.Tensor:
        batch: torch.Tensor = default_collate([clips[i][0] for i in range(_BATCH)])
        return batch

    batch = load()

    def step() -> None:
        model.zero_grad()
        model(batch).square().mean().backward()

    found = compare(f"batch of {_BATCH} rgb clips, loaded against trained on", load, step, pairs=3)
    share = found.subject_ms / (found.subject_ms + found.reference_ms)
    return f"{found}\n    so without workers a step of MobileNetV2-3D waits {share:.1%} of its time for data"


def _decoded(video: Video, kept: InputSpec) -> list[np.ndarray]:
    """Return the frames of the middle clip, and their flow, decoding no further than needed."""
    middle = max(0, _ticks(video, kept) - kept.frames) // 2
    ticks, count = TickSampler(kept.fps), 0
    stream = FlowStream(kept.flow, kept.color) if kept.flow else None
    pictures, fields = [], []
    for frame in read_frames(video.path):
        passed, _ = ticks.push(frame.time)
        count += passed
        if not passed or count <= middle - 1:
            continue
        picture = fit(frame.image, kept)
        field = stream.push(picture).astype(np.float16) if stream else None
        if count > middle:
            pictures.append(picture)
            fields.append(field)
        if len(pictures) == kept.frames:
            break
    arrays = [np.stack(pictures)]
    return [*arrays, np.stack(fields)] if stream else arrays  # type: ignore[arg-type]


def _prepared(video: Video, kept: InputSpec, cache: Path) -> list[np.ndarray]:
    """Return the same from what is kept."""
    arrays = [load_frames(video, kept, cache)]
    if kept.flow:
        arrays.append(load_flow(video, kept, cache))  # type: ignore[arg-type]
    middle = max(0, len(arrays[0]) - kept.frames) // 2
    return [np.array(array[middle : middle + kept.frames]) for array in arrays]


_LENGTHS: dict[Path, int] = {}


def _ticks(video: Video, kept: InputSpec) -> int:
    """Return the samples of a video; found once, as a table of the dataset would tell."""
    if video.path not in _LENGTHS:
        ticks = TickSampler(kept.fps)
        _LENGTHS[video.path] = sum(ticks.push(frame.time)[0] for frame in read_frames(video.path))
    return _LENGTHS[video.path]
