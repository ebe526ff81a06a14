"""Looks at every video of a dataset: can it be read, how long is it, and does it leak between parts.

A leak is a source (a group) or nearly the same pictures on both sides of a split: the network is then
praised for remembering.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vedette_edge.errors import DataError, VideoError
from vedette_edge.video import read_frames
from vedette_train.data.duplicates import difference_hash, group_near_duplicates
from vedette_train.data.folder import Video, VideoFolder, stamp
from vedette_train.data.layouts import source_group
from vedette_train.data.parallel import each, processes
from vedette_train.data.split import PARTS, read_split_file

__all__ = [
    "Inspection",
    "Leak",
    "Look",
    "find_leaks",
    "inspect",
    "look_at",
    "parts_of",
    "refuse_leaks",
    "with_told_groups",
]

_SIDE = 32  # pixels of the pictures that are compared


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What a video is.

    Attributes:
        frames: pictures that can be decoded.
        seconds: length, from the time stamps; None for a folder of pictures.
        width: of the first picture, pixels.
        height: of the first picture, pixels.
        hash: see `duplicates.difference_hash`.
    """

    frames: int
    seconds: float | None
    width: int
    height: int
    hash: NDArray[np.bool_]

    @property
    def fps(self) -> float | None:
        """Pictures a second; None without a clock."""
        return self.frames / self.seconds if self.seconds else None


@dataclass(frozen=True, slots=True)
class Leak:
    """Videos of one source, or nearly the same, that lie in several parts.

    Attributes:
        kind: "group" or "near-duplicate".
        name: the group's, or that of the first of the videos.
        parts: where they lie.
        videos: their names.
    """

    kind: str
    name: str
    parts: tuple[str, ...]
    videos: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """Everything that was found out about a dataset.

    Attributes:
        videos: the readable ones, with the group that is stated or that the name tells.
        looks: one each of `videos`.
        unreadable: reason by name.
        parts: part by name; empty without a split file.
        leaks: empty without a split file.
    """

    videos: list[Video]
    looks: list[Look]
    unreadable: dict[str, str]
    parts: dict[str, str]
    leaks: list[Leak]


def inspect(
    folder: VideoFolder,
    split_file: Path | None,
    *,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Inspection:
    """Decode every video of a dataset and look for leaks.

    Args:
        folder: the dataset.
        split_file: CSV with columns path,part.
        workers: processes; None: one a core.
        on_progress: called with (done, total).

    Raises:
        DataError: when the split file does not fit the dataset.
    """
    names = [video.name for video in folder.videos]
    parts = parts_of(split_file, names) if split_file else {}
    looks: list[Look] = []
    videos: list[Video] = []
    unreadable: dict[str, str] = {}
    paths = [video.path for video in folder.videos]
    size = sum(stamp(path)[0] for path in paths if path.exists())
    found = each(look_at, paths, processes(size, workers))
    for done, (video, look) in enumerate(zip(with_told_groups(folder.videos), found, strict=True), start=1):
        if isinstance(look, str):
            unreadable[video.name] = look
        else:
            videos.append(video)
            looks.append(look)
        if on_progress:
            on_progress(done, len(folder.videos))
    leaks = find_leaks(videos, [look.hash for look in looks], parts) if parts else []
    return Inspection(videos, looks, unreadable, parts, leaks)


def look_at(path: Path) -> Look | str:
    """Decode a video; return what it is, or the reason why it cannot be read."""
    small: list[NDArray[np.uint8]] = []
    last, size = 0.0, (0, 0)
    try:
        for frame in read_frames(path):
            if not small:
                size = (frame.image.shape[1], frame.image.shape[0])
            picture = cv2.resize(frame.image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
            small.append(np.asarray(picture, dtype=np.uint8))
            last = frame.time
    except VideoError as error:
        return str(error)
    count = len(small)
    # The last picture is shown as long as the others are, on average.
    seconds = None if path.is_dir() else last * count / (count - 1) if count > 1 else 0.0
    return Look(count, seconds, *size, difference_hash(np.stack(small)))


def with_told_groups(videos: Sequence[Video]) -> list[Video]:
    """Give videos without a stated group the one that their name tells, where it tells one."""
    return [
        video if video.group else Video(video.path, video.name, video.label, source_group(video.path.name))
        for video in videos
    ]


def parts_of(split_file: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the part of each video.

    Raises:
        DataError: as `split.read_split_file`.
    """
    split = read_split_file(split_file, names)
    indices = (split.train, split.val, split.test)
    return {names[i]: part for part, members in zip(PARTS, indices, strict=True) for i in members}


def find_leaks(
    videos: Sequence[Video], hashes: Sequence[NDArray[np.bool_]], parts: dict[str, str]
) -> list[Leak]:
    """Return what lies in several parts: groups first, then near-duplicates that no group explains."""
    by_group: dict[str, list[str]] = {}
    for video in videos:
        if video.group:
            by_group.setdefault(video.group, []).append(video.name)
    by_look: dict[str, list[str]] = {}
    for video, number in zip(videos, group_near_duplicates(hashes), strict=True):
        by_look.setdefault(videos[number].name, []).append(video.name)
    told = _crossing("group", by_group, parts)
    explained = [set(leak.videos) for leak in told]
    alike = _crossing("near-duplicate", by_look, parts)
    return told + [leak for leak in alike if not any(set(leak.videos) <= known for known in explained)]


def _crossing(kind: str, members: dict[str, list[str]], parts: dict[str, str]) -> list[Leak]:
    leaks = [
        Leak(kind, name, tuple(sorted({parts[video] for video in found})), tuple(found))
        for name, found in members.items()
    ]
    return [leak for leak in leaks if len(leak.parts) > 1]


def refuse_leaks(leaks: Sequence[Leak]) -> None:
    """Do nothing where there is no leak.

    Raises:
        DataError: names the first leaks.
    """
    if leaks:
        first = "; ".join(f"{leak.kind} {leak.name} in {' and '.join(leak.parts)}" for leak in leaks[:5])
        raise DataError(
            f"{len(leaks)} sources lie in several parts, so every figure of this split flatters: {first}; "
            "divide by group instead (leave data.split_file out)"
        )
