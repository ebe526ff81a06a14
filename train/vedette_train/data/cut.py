"""Cuts recordings that have a label for every frame into clips of one label each: a folder of classes.

    recordings/
    ├── split.csv            id,split            train, val or test
    ├── labels/17.csv        1,...,3             no header; first column the frame, from 1; third its label
    └── dataset/anon/17.mp4  or videos/17.mp4

A clip is a run of frames of one label. Clips of one recording share a group.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path

from vedette_edge.errors import DataError, VideoError
from vedette_edge.files import write_atomically
from vedette_edge.types import Frame
from vedette_edge.video import VIDEO_SUFFIXES, read_frames
from vedette_train.data.adopt import SPLIT_FILE, split_table
from vedette_train.data.folder import GROUPS_FILE
from vedette_train.data.parallel import each, processes
from vedette_train.data.synthetic.encode import write_video

__all__ = ["Recording", "Run", "cut", "label_runs", "read_labels", "recordings"]

_PLACES = ("dataset/anon", "videos", ".")


@dataclass(frozen=True, slots=True)
class Run:
    """Frames of one label, numbered from 1, both ends included."""

    label: str
    first: int
    last: int

    @property
    def length(self) -> int:
        """Return the number of frames."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Recording:
    """A video with its labels."""

    name: str
    video: Path
    labels: Path
    part: str


def recordings(source: Path, videos: Path | None = None) -> list[Recording]:
    """List the recordings of split.csv.

    Args:
        source: holds split.csv and labels/.
        videos: where the videos lie; by default dataset/anon, videos or the source itself.

    Raises:
        DataError: when split.csv is missing or malformed, or a recording lacks its video or labels.
    """
    parts = split_table(source / SPLIT_FILE)
    places = [videos] if videos else [source / place for place in _PLACES]
    found = []
    for name, part in parts.items():
        if not _is_plain(name):
            raise DataError(f"{source / SPLIT_FILE}: the id {name!r} cannot be part of a file's name")
        files = [
            place / f"{name}{suffix}"
            for place in places
            for suffix in sorted(VIDEO_SUFFIXES)
            if place.is_dir()
        ]
        video = next((path for path in files if path.is_file()), None)
        labels = source / "labels" / f"{name}.csv"
        if video is None or not labels.is_file():
            missing = labels if video else f"{places[0]}/{name}.mp4"
            raise DataError(f"{source / SPLIT_FILE} names {name}, but there is no {missing}")
        found.append(Recording(name, video, labels, part))
    return found


def read_labels(path: Path) -> list[tuple[int, str]]:
    """Return (frame from 1, label) of each row.

    Raises:
        DataError: when the file cannot be read, or a row has no frame or label.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    found = []
    for number, row in enumerate(rows, start=1):
        frame, label = (row[0].strip(), row[2].strip()) if len(row) >= 3 else ("", "")
        if not (frame.isascii() and frame.isdigit() and int(frame)) or not _is_plain(label):
            raise DataError(
                f"{path}, line {number}: expected a frame from 1, anything, and a label; found {row}"
            )
        found.append((int(frame), label))
    return found


def label_runs(labels: Iterable[tuple[int, str]], least: int) -> list[Run]:
    """Return the runs of consecutive frames of one label that have at least `least` frames, in order.

    >>> label_runs([(1, "a"), (2, "a"), (3, "b"), (5, "b"), (6, "b")], 2)
    [Run(label='a', first=1, last=2), Run(label='b', first=5, last=6)]
    """
    runs: list[Run] = []
    for frame, label in sorted(labels):
        if runs and runs[-1].label == label and runs[-1].last == frame - 1:
            runs[-1] = Run(label, runs[-1].first, frame)
        else:
            runs.append(Run(label, frame, frame))
    return [run for run in runs if run.length >= least]


def cut(
    source: Path,
    out: Path,
    *,
    videos: Path | None = None,
    least: int = 16,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, str], dict[str, str]]:
    """Write a video for each run of each recording, and split.csv and groups.csv.

    Args:
        source: see `recordings`.
        out: the folder of classes; clips that it has already are not written again.
        videos: see `recordings`.
        least: shortest clip, frames.
        workers: processes; None: one a core.
        on_progress: called with (done, total).

    Returns:
        The part of each clip by its name, and the reason for each recording that cannot be read.

    Raises:
        DataError: as `recordings` and `read_labels`, or when a clip cannot be written.
    """
    jobs = recordings(source, videos)
    size = sum(job.video.stat().st_size for job in jobs)
    results = each(partial(_cut_one, out=out, least=least), jobs, processes(size, workers))
    clips: dict[str, Recording] = {}
    unreadable: dict[str, str] = {}
    for done, (job, names) in enumerate(zip(jobs, results, strict=True), start=1):
        if isinstance(names, str):
            unreadable[job.name] = names
        else:
            clips |= dict.fromkeys(names, job)
        if on_progress:
            on_progress(done, len(jobs))
    if not clips:
        raise DataError(f"{source}: no label lasts for {least} frames in any readable recording")
    write_atomically(out / SPLIT_FILE, _table("path,part", ((n, c.part) for n, c in clips.items())))
    write_atomically(out / GROUPS_FILE, _table("path,group", ((n, c.name) for n, c in clips.items())))
    return {name: clip.part for name, clip in clips.items()}, unreadable


def _cut_one(recording: Recording, out: Path, least: int) -> list[str] | str:
    """Write the clips of a recording; return their names, or the reason why it cannot be read."""
    names = []
    try:
        frames, position = read_frames(recording.video), 1
        for run in label_runs(read_labels(recording.labels), least):
            _skip(frames, run.first - position)
            name = f"{run.label}/{recording.name}_{run.first:06d}.mp4"
            if (out / name).is_file():
                _skip(frames, run.length)
            elif not _write(out / name, islice(frames, run.length)):
                break  # the video ends before its labels
            names.append(name)
            position = run.last + 1
    except VideoError as error:
        return str(error)
    return names


def _write(path: Path, frames: Iterator[Frame]) -> bool:
    """Write a clip at the rate of its first two frames; return whether there were two."""
    first = list(islice(frames, 2))
    if len(first) < 2:
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{path.parent}: cannot be made ({error.strerror})") from error
    height, width = first[0].image.shape[:2]
    fps = 1.0 / (first[1].time - first[0].time)
    write_video(path, (frame.image for frame in chain(first, frames)), size=(width, height), fps=fps)
    return True


def _is_plain(name: str) -> bool:
    """Tell whether a name from a table makes a file or folder right where it is put."""
    return bool(name) and not name.startswith(".") and "/" not in name and "\\" not in name


def _skip(frames: Iterator[Frame], count: int) -> None:
    for _ in islice(frames, count):
        pass


def _table(header: str, rows: Iterable[tuple[str, str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header.split(","), *rows])
    return text.getvalue().encode()
