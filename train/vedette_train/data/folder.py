"""A dataset is a folder of classes, each with its videos, and optionally `groups.csv`.

    data/
    ├── groups.csv          path,label,group     (optional; one row a video)
    ├── push_up/a.mp4
    └── squat/b.mov         or a folder squat/b/ of pictures: frame_1.jpg, frame_2.jpg, ...

A folder of pictures has no clock, so each of its pictures is one sample. Videos of one group (a person,
a scene, a source) are never divided between training and validation.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vedette_edge.errors import DataError
from vedette_edge.video import VIDEO_SUFFIXES, pictures_in
from vedette_train.data.layouts import suggest, videos_in

__all__ = ["GROUPS_FILE", "Video", "VideoFolder", "fingerprint", "scan", "stamp"]

GROUPS_FILE = "groups.csv"


@dataclass(frozen=True, slots=True)
class Video:
    """One video of a dataset.

    Attributes:
        path: where it lies; a file, or a folder of pictures.
        name: relative to the dataset, with forward slashes.
        label: index into `VideoFolder.labels`.
        group: files that must stay together; None where the dataset states none.
    """

    path: Path
    name: str
    label: int
    group: str | None


@dataclass(frozen=True, slots=True)
class VideoFolder:
    """A scanned dataset: labels in alphabetical order, videos sorted by name."""

    root: Path
    labels: tuple[str, ...]
    videos: tuple[Video, ...]


def scan(root: Path, exclude: Iterable[str] = ()) -> VideoFolder:
    """List the videos of a dataset.

    Args:
        root: the folder of classes.
        exclude: names of class folders to leave out.

    Raises:
        DataError: when the folder is missing, has fewer than two classes, a class has no video, or
            groups.csv is malformed or disagrees with the folders.
    """
    if not root.is_dir():
        raise DataError(
            f"{root}: no such folder; expected a folder of classes, each with its videos{suggest(root)}"
        )
    left_out = set(exclude)
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if missing := left_out - {folder.name for folder in folders}:
        raise DataError(f"{root} has no class folder {', '.join(sorted(missing))} to exclude")
    classes = [folder for folder in folders if folder.name not in left_out]
    if len(classes) < 2 or not any(videos_in(folder) for folder in classes):
        raise DataError(
            f"{root}: expected at least two class folders with videos, found {len(classes)}"
            + (f" ({', '.join(folder.name for folder in classes[:5])})" if classes else "")
            + suggest(root)
        )
    groups = _read_groups(root)
    videos = [
        Video(path, f"{folder.name}/{path.name}", label, _group_of(root, groups, folder.name, path.name))
        for label, folder in enumerate(classes)
        for path in _videos_in(folder)
    ]
    return VideoFolder(root, tuple(folder.name for folder in classes), tuple(videos))


def fingerprint(folder: VideoFolder) -> str:
    """Return the SHA-256 over names and sizes of all videos: the same data, the same digest."""
    digest = hashlib.sha256()
    for video in folder.videos:
        size = stamp(video.path)[0] if video.path.exists() else -1  # a link to nowhere
        digest.update(f"{video.name}\0{size}\n".encode())
    return digest.hexdigest()


def stamp(path: Path) -> tuple[int, int]:
    """Return the bytes of a video and when it last changed, ns; a folder's are those of its pictures.

    Raises:
        FileNotFoundError: when there is no such file.
    """
    if not path.is_dir():
        stat = path.stat()
        return stat.st_size, stat.st_mtime_ns
    stats = [picture.stat() for picture in pictures_in(path)]
    times = [path.stat().st_mtime_ns, *(stat.st_mtime_ns for stat in stats)]
    return sum(stat.st_size for stat in stats), max(times)


def _videos_in(folder: Path) -> list[Path]:
    videos = videos_in(folder)
    if not videos:
        kinds = ", ".join(sorted(VIDEO_SUFFIXES))
        raise DataError(
            f"{folder}: class folder without videos ({kinds}, or folders of pictures); add some, or leave it "
            f"out with --set data.exclude=[{folder.name}]{suggest(folder)}"
        )
    return videos


def _group_of(root: Path, groups: dict[str, str] | None, label: str, file: str) -> str | None:
    if groups is None:
        return None
    name = f"{label}/{file}"
    if name not in groups:
        raise DataError(f"{root / GROUPS_FILE} has no row for {name}; every video needs a group")
    return groups[name]


def _read_groups(root: Path) -> dict[str, str] | None:
    path = root / GROUPS_FILE
    if not path.exists():
        return None
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    groups: dict[str, str] = {}
    for number, row in enumerate(rows, start=2):
        name, group = row.get("path"), row.get("group")
        if not name or not group:
            raise DataError(f"{path}, line {number}: expected columns path and group, found {dict(row)}")
        if row.get("label") not in (None, name.split("/")[0]):
            raise DataError(f"{path}, line {number}: label {row['label']} but the file lies in {name}")
        groups[name] = group
    return groups
