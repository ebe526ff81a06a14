"""Real, tiny things for the tests of training and conversion: videos, a dataset, a recipe, a trained run."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from copy import deepcopy
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from vedette_edge.manifest import InputSpec
from vedette_train.recipe import Recipe, recipe_from_dict

LABELS = ("left", "right")
GROUPS = 4
FPS = 8.0
WIDTH, HEIGHT = 64, 48

_INPUT = {
    "frames": 4,
    "fps": FPS,
    "height": 32,
    "width": 64,
    "crop": "stretch",
    "color": "rgb",
    "axes": "NCTHW",
    "mean": (0.5, 0.4, 0.6),
    "std": (0.5, 0.25, 0.4),
}
_DECISION = {
    "on_threshold": 0.6,
    "off_threshold": 0.4,
    "min_duration": 0.0,
    "cooldown": 1.0,
    "smoothing": 1,
    "hop": 2,
    "temperature": 1.5,
}


def input_spec(**changes: Any) -> InputSpec:
    """The only place where the tests of these rooms build the network's input."""
    return InputSpec(**(_INPUT | changes))


def recipe_values(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a tiny recipe as it stands in a YAML file; `changes` are dotted keys."""
    values: dict[str, Any] = {
        "name": "tiny",
        "seed": 3,
        "model": {"width_mult": 0.25, "mode": "high_temporal", "dropout": 0.0},
        "data": {"input": _INPUT | {"mean": [*_INPUT["mean"]], "std": [*_INPUT["std"]]}, "folds": 4},
        "augment": {"crop_area": [0.9, 1.0]},
        "train": {"epochs": 2, "batch_size": 3, "lr": 1e-3},
        "decision": dict(_DECISION),
    }
    for key, value in (changes or {}).items():
        *sections, last = key.split(".")
        place = values
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = deepcopy(value)
    return values


def tiny_recipe(**changes: Any) -> Recipe:
    """Return a recipe that trains in a second; `train__epochs=3` changes `train.epochs`."""
    dotted = {key.replace("__", "."): value for key, value in changes.items()}
    return recipe_from_dict(recipe_values(dotted), "the tiny recipe")


def backdrop(seed: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Return a coarse pattern in muted colours, (H, W, 3) uint8: another scene for each seed."""
    cells = np.random.default_rng(seed).integers(30, 150, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(cells, (width, height), interpolation=cv2.INTER_NEAREST)


def moving_square(label: str, scene: int, frames: int = 12) -> list[np.ndarray]:
    """Return pictures of a white square that crosses the scene to the side that `label` names."""
    pictures = []
    for index in range(frames):
        picture = backdrop(scene)
        step = round(index * (WIDTH - 16) / max(1, frames - 1))
        left = step if label == "right" else WIDTH - 16 - step
        picture[16:32, left : left + 16] = 255
        pictures.append(picture)
    return pictures


def write_pictures(path: Path, pictures: Sequence[np.ndarray], fps: float = FPS) -> Path:
    """Write pictures (H, W, 3) uint8 BGR as a video, evenly timed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), fps, (width, height))
    for picture in pictures:
        writer.write(picture)
    writer.release()
    return path


def write_timed_pictures(path: Path, pictures: Sequence[np.ndarray], times: Sequence[float]) -> Path:
    """Write a video of variable frame rate: one picture at each time, in seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=1000)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.bit_rate = 4_000_000
        for picture, time in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_sound(path: Path, seconds: float = 0.5) -> Path:
    """Write an mp4 that holds a tone and no picture."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        for start in range(0, int(8000 * seconds), 1024):
            wave = np.sin(np.arange(start, start + 1024) / 3).astype(np.float32)[np.newaxis]
            frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 8000, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_groups(
    root: Path, rows: Sequence[Sequence[str]], header: Sequence[str] = ("path", "label", "group")
):
    with (root / "groups.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def write_dataset(
    root: Path, labels: Sequence[str] = LABELS, groups: int = GROUPS, *, grouped: bool = True
) -> Path:
    """Write one video of each label in each of `groups` scenes, and groups.csv unless not `grouped`."""
    rows = []
    for label in labels:
        for scene in range(groups):
            name = f"{label}/{label}_{scene}.mp4"
            # Without groups.csv each video needs a scene of its own, or near-duplicates would be found.
            seed = scene if grouped else scene + 100 * labels.index(label)
            write_pictures(root / name, moving_square(label, seed))
            rows.append((name, label, f"scene-{scene}"))
    if grouped:
        write_groups(root, rows)
    return root


def prepared(base: Path) -> tuple[Path, Path]:
    """Return the session's dataset and frame cache below `base`, written once; no test may change them."""
    data = base / "tiny-data"
    if not data.is_dir():
        write_dataset(data)
    return data, base / "tiny-cache"


def trained(base: Path, name: str = "tiny-run", **changes: Any) -> Path:
    """Return a trained run of the session below `base`, trained once; no test may change it."""
    from vedette_train.fit import fit

    run = base / name
    if not run.is_dir():
        data, cache = prepared(base)
        fit(tiny_recipe(**changes), data, run, cache=cache)
    return run
