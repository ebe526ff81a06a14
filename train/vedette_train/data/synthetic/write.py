"""The generator's two products: a folder of short clips for training, and a long video with its timeline.

Promises, in order:

1. The same arguments give the same frames, on any number of processes: every clip has a random stream of its
   own, which follows from the seed, its group and its label.
2. Clips of one group share scene and person and never anything else, so a split by group leaks nothing.
3. Nothing is overwritten, and what carries its final name is complete.
"""

import csv
import io
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from vedette_edge.errors import DataError
from vedette_train.data.synthetic.backdrop import Image
from vedette_train.data.synthetic.encode import write_video
from vedette_train.data.synthetic.exercises import LABELS, random_motion
from vedette_train.data.synthetic.play import Play, random_play
from vedette_train.data.synthetic.take import Box, Take, random_cast
from vedette_train.data.synthetic.timeline import Action, Timeline, timeline_path

Progress = Callable[[int, int], None]

_IDLE_TAKES: Final = 2
_PACES: Final = (1.0, 1.0, 0.8, 1.2)  # of the frame rate asked for: real folders mix cameras
_CAST, _CLIP, _PLAY = 0, 1, 2  # keys that keep the random streams apart


@dataclass(frozen=True)
class ClipPlan:
    """Everything a process must know to write one clip.

    Attributes:
        path: The file.
        label: One of `LABELS`.
        group: Number of the scene and person, from 0.
        number: Which take of this label in this scene, from 0.
        seconds: Length.
        seed: The data set's seed.
        size: Width and height, pixels.
        fps: Frame rate asked for; the clip's own may be a fifth above or below.
    """

    path: Path
    label: str
    group: int
    number: int
    seconds: float
    seed: int
    size: tuple[int, int]
    fps: float

    def take(self) -> Take:
        """Draw scene, person, motion and camera."""
        cast = random_cast(_stream(self.seed, _CAST, self.group), self.size)
        rng = _stream(self.seed, _CLIP, self.group, LABELS.index(self.label), self.number)
        fps = self.fps * float(rng.choice(_PACES))
        motion = random_motion(self.label, rng, cast.person.body)
        return cast.take(rng, motion, size=self.size, fps=fps, frames=max(1, round(self.seconds * fps)))


def write_dataset(
    out: Path,
    *,
    clips_per_class: int,
    seconds: float = 3.0,
    seed: int = 0,
    size: tuple[int, int] = (320, 240),
    fps: float = 25.0,
    workers: int = 1,
    on_progress: Progress | None = None,
) -> Path:
    """Write a folder of labelled clips: `<label>/<label>_0001.mp4` and `groups.csv` (path, label, group).

    Args:
        out: The folder; it must be empty or not exist.
        clips_per_class: How many clips of each exercise, and twice as many of idling, which is what a camera
            sees most of the time and takes more forms; also the number of groups, as each has all labels.
        seconds: Length of a clip.
        seed: Decides all chance, 0 or more.
        size: Width and height, pixels, at least 32 and even.
        fps: Frames per second; clips vary by a fifth around it.
        workers: Processes; the result does not depend on it.
        on_progress: Called with the number of clips done and of all clips.

    Returns:
        The path of `groups.csv`.

    Raises:
        DataError: An argument is out of range, the folder is not empty, or a clip cannot be written.
    """
    _check(size, seconds, fps, seed)
    if clips_per_class < 1 or workers < 1:
        raise DataError(f"clips_per_class ({clips_per_class}) and workers ({workers}) must be at least 1")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"'{out}' exists and is not an empty folder: choose a new folder or empty this one")
    plans = [
        ClipPlan(out / label / _name(label, group, take), label, group, take, seconds, seed, size, fps)
        for label in LABELS
        for group in range(clips_per_class)
        for take in range(_IDLE_TAKES if label == LABELS[0] else 1)
    ]
    for label in LABELS:
        _make_folder(out / label)
    for done, _ in enumerate(_write_clips(plans, workers), start=1):
        if on_progress is not None:
            on_progress(done, len(plans))
    return _write_groups(out, plans)


def write_timeline_video(
    path: Path,
    *,
    seconds: float = 90.0,
    seed: int = 1,
    size: tuple[int, int] = (320, 240),
    fps: float = 25.0,
    on_progress: Progress | None = None,
) -> Timeline:
    """Write a long video of one person who idles and exercises in turn, and its timeline beside it.

    Args:
        path: The video, `.mp4`; the timeline gets the suffix `.timeline.json`.
        seconds: Length; every exercise appears at least once from 40 seconds on.
        seed: Decides all chance, 0 or more.
        size: Width and height, pixels, at least 32 and even.
        fps: Frames per second.
        on_progress: Called with the number of frames done and of all frames.

    Returns:
        The timeline.

    Raises:
        DataError: An argument is out of range, or the video or its timeline cannot be written.
    """
    _check(size, seconds, fps, seed)
    cast = random_cast(_stream(seed, _PLAY, _CAST), size)
    rng = _stream(seed, _PLAY, _CLIP)
    play = random_play(rng, cast.person.body, seconds)
    take = cast.take(rng, play, size=size, fps=fps, frames=max(1, round(seconds * fps)))
    boxes: list[Box] = []
    _make_folder(path.parent)
    write_video(path, _filmed(take, boxes, on_progress), size=size, fps=fps)
    timeline = Timeline(
        video=path.name,
        fps=fps,
        width=size[0],
        height=size[1],
        frames=take.frames,
        actions=_actions(play),
        figure=tuple(boxes),
    )
    _write_text(timeline_path(path), timeline.model_dump_json())
    return timeline


def _name(label: str, group: int, take: int) -> str:
    return f"{label}_{group + 1:04d}{'abc'[take] if take else ''}.mp4"


def _write_clips(plans: list[ClipPlan], workers: int) -> Iterator[None]:
    if workers == 1:
        yield from map(_write_clip, plans)
        return
    # Spawned, not forked: OpenCV and PyTorch keep threads that do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        min(workers, len(plans)), context, initializer=cv2.setNumThreads, initargs=(1,)
    ) as pool:
        yield from pool.map(_write_clip, plans)


def _write_clip(plan: ClipPlan) -> None:
    take = plan.take()
    write_video(plan.path, (frame for frame, _ in take.shots()), size=plan.size, fps=take.fps)


def _filmed(take: Take, boxes: list[Box], on_progress: Progress | None) -> Iterator[Image]:
    """The frames of a take; keeps the boxes on the way."""
    for done, (frame, box) in enumerate(take.shots(), start=1):
        x, y, width, height = (round(value, 4) for value in box)
        boxes.append((x, y, width, height))
        yield frame
        if on_progress is not None:
            on_progress(done, take.frames)


def _actions(play: Play) -> tuple[Action, ...]:
    parts = zip(play.labels, play.bounds, play.bounds[1:], strict=False)
    return tuple(
        Action(label=label, start=round(a, 3), end=round(b, 3)) for label, a, b in parts if label != LABELS[0]
    )


def _write_groups(out: Path, plans: list[ClipPlan]) -> Path:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("path", "label", "group"))
    for plan in plans:
        rows.writerow((plan.path.relative_to(out).as_posix(), plan.label, f"scene_{plan.group + 1:04d}"))
    _write_text(out / "groups.csv", text.getvalue())
    return out / "groups.csv"


def _write_text(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        raise DataError(f"cannot write '{path}': {error.strerror or error}") from error


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot make the folder '{path}': {error.strerror or error}") from error


def _stream(seed: int, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _check(size: tuple[int, int], seconds: float, fps: float, seed: int) -> None:
    width, height = size
    # Encoders halve the colour planes, so odd sizes lose a row or column.
    if min(size) < 32 or width % 2 or height % 2:
        raise DataError(
            f"a video of {width}x{height} pixels cannot be drawn: both sides must be even and at least 32"
        )
    if not 0 < seconds < 86_400 or not 1 <= fps <= 240:
        raise DataError(
            f"a video of {seconds} s at {fps} fps cannot be drawn: it takes more than 0 s and 1 to 240 fps"
        )
    if seed < 0:
        raise DataError(f"the seed is {seed}, but must be 0 or more")
