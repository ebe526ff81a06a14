"""Training clips before and after their random changes, as videos that a person can look at.

What is drawn is what the network gets, its normalisation undone: pictures, or their differences around grey,
and flow as colours: the hue says where to, the brightness how fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from vedette_edge.files import write_atomically
from vedette_edge.manifest import InputSpec
from vedette_edge.types import FloatArray, Image
from vedette_train.data.augment import ClipAugmentation
from vedette_train.data.clips import TrainClips
from vedette_train.data.folder import Video
from vedette_train.data.synthetic.encode import write_video
from vedette_train.explain.drawing import BACKGROUND, GREY, Text, enlarged, strip
from vedette_train.recipe import AugmentSettings, Recipe

__all__ = ["clip_pairs", "clip_pictures", "flow_colours", "write_debug_videos"]

_FPS = 10.0
_LEAST_HEIGHT = 200
_SHEET_HEIGHT = 110
_SHEET_FRAMES = 4
_GAP = 4
_UNCHANGED = AugmentSettings(
    crop_area=(1.0, 1.0), crop_ratio=(1.0, 1.0), hflip=0.0, brightness=0.0, contrast=0.0, saturation=0.0
)

Clips = Dataset[tuple[Tensor, int]]


def write_debug_videos(
    recipe: Recipe, videos: Sequence[Video], cache: Path, out: Path, count: int = 10
) -> int:
    """Write `vid_<name>_idx<i>_orig.mp4` and `..._aug.mp4` for the first videos of each class, and a sheet.

    Args:
        recipe: says what is changed, and what the network gets.
        videos: of the training part, prepared.
        cache: where their frames are kept.
        out: the folder; made where it is missing.
        count: the most clips.

    Returns:
        How many pairs were written.

    Raises:
        DataError: when frames are gone from the cache, or a video cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    spec = recipe.data.input
    chosen = _mixed(videos, count)
    plain = TrainClips(chosen, spec, cache, ClipAugmentation(spec, _UNCHANGED))
    changed = TrainClips(chosen, spec, cache, ClipAugmentation(spec, recipe.augment))
    rows = []
    for index, (video, pair) in enumerate(zip(chosen, clip_pairs(plain, changed, recipe.seed), strict=True)):
        films = [clip_pictures(clip, spec) for clip in pair]
        for kind, pictures in zip(("orig", "aug"), films, strict=True):
            height, width = pictures[0].shape[:2]
            path = out / f"vid_{Path(video.name).stem}_idx{index}_{kind}.mp4"
            write_video(path, pictures, size=(width, height), fps=_FPS)
        rows.append(_row(video.name, films))
    sheet = np.vstack(rows)
    write_atomically(out / "sheet.png", cv2.imencode(".png", sheet)[1].tobytes())
    return len(chosen)


def clip_pairs(plain: Clips, changed: Clips, seed: int) -> list[tuple[FloatArray, FloatArray]]:
    """Draw the same window of each item from both datasets: two of (C, T, H, W) float32 an item.

    Args:
        plain: draws a window of each item first of all, from PyTorch's random state, and leaves it so.
        changed: the same, with random changes.
        seed: of the draws; the random state of the caller stays as it is.
    """
    pairs = []
    with torch.random.fork_rng(devices=[]):
        for index in range(len(plain)):  # type: ignore[arg-type]  # Dataset names no length
            clips = []
            for dataset in (plain, changed):
                torch.manual_seed(seed + index)
                clips.append(dataset[index][0].numpy())
            pairs.append((clips[0], clips[1]))
    return pairs


def clip_pictures(clip: FloatArray, spec: InputSpec) -> list[Image]:
    """Return what a clip shows, one picture a frame, pictures and flow side by side; enlarged where small.

    Args:
        clip: (C, T, H, W) float32, the network's input without its batch axis.
        spec: what its channels mean.

    Returns:
        T pictures (H', W', 3) uint8 BGR with even sides.
    """
    panels = []
    if "rgb" in spec.streams:
        panels.append([_picture(frame, spec) for frame in clip[:3].transpose(1, 2, 3, 0)])
    if spec.flow:
        first = 3 * len(panels)
        panels.append([flow_colours(field) for field in clip[first : first + 2].transpose(1, 2, 3, 0)])
    factor = max(1, -(-_LEAST_HEIGHT // spec.height))
    joined = [enlarged(np.hstack(parts), factor) for parts in zip(*panels, strict=True)]
    return [one[: one.shape[0] // 2 * 2, : one.shape[1] // 2 * 2] for one in joined]


def flow_colours(flow: FloatArray) -> Image:
    """Return flow as colours: the hue says where to (red: to the right), the brightness how fast.

    Args:
        flow: (H, W, 2) float32 in -1..1, x to the right and y downwards.
    """
    speed, angle = cv2.cartToPolar(flow[..., 0].copy(), flow[..., 1].copy(), angleInDegrees=True)
    # The root, so that slow motion can be seen beside fast.
    value = 255 * np.sqrt(np.clip(speed, 0, 1))
    colours = np.dstack([angle / 2 % 180, np.full_like(value, 255), value]).astype(np.uint8)
    return np.asarray(cv2.cvtColor(colours, cv2.COLOR_HSV2BGR), dtype=np.uint8)


def _picture(frame: FloatArray, spec: InputSpec) -> Image:
    """Undo the normalisation of a frame (H, W, 3); differences lie around grey."""
    std = np.asarray(spec.std, np.float32)
    mean = np.float32(0.5) if spec.temporal == "difference" else np.asarray(spec.mean, np.float32)
    picture = np.clip(np.round(255 * (frame * std + mean)), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(picture[..., ::-1]) if spec.color == "rgb" else picture


def _mixed(videos: Sequence[Video], count: int) -> list[Video]:
    """Return up to `count` videos, the classes in turn."""
    turns: dict[int, int] = {}
    keys = []
    for video in videos:
        turns[video.label] = turns.get(video.label, -1) + 1
        keys.append((turns[video.label], video.label))
    order = sorted(range(len(videos)), key=lambda index: keys[index])
    return [videos[index] for index in order[:count]]


def _row(name: str, films: Sequence[Sequence[Image]]) -> Image:
    """Return some frames of both films side by side, under the video's name."""
    halves = []
    for title, pictures in zip((f"{name}, before", "after"), films, strict=True):
        # Not the first one, which has no difference and no flow.
        places = np.linspace(0, len(pictures) - 1, _SHEET_FRAMES + 1)[1:]
        chosen = sorted({round(place) for place in places})
        tiles = [_tile(pictures[index]) for index in chosen]
        body = np.hstack([part for tile in tiles for part in (tile, _column(_GAP))])
        halves.append(np.vstack([strip(body.shape[1], 24, [Text(title, GREY)], size=14), body]))
    between = np.full((halves[0].shape[0], 3 * _GAP, 3), BACKGROUND, np.uint8)
    return np.hstack([halves[0], between, halves[1]])


def _tile(picture: Image) -> Image:
    width = round(_SHEET_HEIGHT * picture.shape[1] / picture.shape[0])
    small = cv2.resize(picture, (width, _SHEET_HEIGHT), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)


def _column(width: int) -> Image:
    return np.full((_SHEET_HEIGHT, width, 3), BACKGROUND, np.uint8)
