"""From a folder to the two parts of a training: scanned, decoded, grouped, divided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vedette_edge.errors import ConfigError
from vedette_train.console import log, progress
from vedette_train.data.clips import larger
from vedette_train.data.duplicates import difference_hash, group_near_duplicates
from vedette_train.data.folder import Video, VideoFolder, scan
from vedette_train.data.frames import Unreadable, load_frames, prepare_frames
from vedette_train.data.split import split_by_group
from vedette_train.recipe import Recipe

__all__ = ["Parts", "load_parts"]

_NO_GROUPS = (
    "this dataset has no groups.csv: clips of one scene or person may lie on both sides of the split, and "
    "the accuracy will flatter; write one (columns path,label,group)"
)


@dataclass(frozen=True, slots=True)
class Parts:
    """The readable videos of a dataset, divided by group; every video has one."""

    folder: VideoFolder
    train: list[Video]
    val: list[Video]
    unreadable: list[Unreadable]


def load_parts(recipe: Recipe, data: Path, cache: Path) -> Parts:
    """Scan, decode and split the dataset; say what was left out and what the split lacks.

    Raises:
        DataError: when the dataset cannot be used.
        ConfigError: when `data.background` names a label that the dataset lacks.
    """
    settings = recipe.data
    folder = scan(data, settings.exclude)
    if unknown := set(settings.background) - set(folder.labels):
        raise ConfigError(
            f"data.background names {', '.join(sorted(unknown))}; the dataset has: {', '.join(folder.labels)}"
        )
    spec = larger(settings.input)
    with progress(f"decode {len(folder.videos)} videos") as on_progress:
        videos, unreadable = prepare_frames(
            folder.videos, spec, cache, max_unreadable=settings.max_unreadable, on_progress=on_progress
        )
    for item in unreadable:
        log(f"left out: {item.reason}", style="yellow")
    videos = _with_groups(videos, recipe, cache)
    split = split_by_group(
        [video.label for video in videos],
        [video.group or video.name for video in videos],
        folds=settings.folds,
        fold=settings.fold,
        seed=recipe.seed,
    )
    parts = Parts(folder, [videos[i] for i in split.train], [videos[i] for i in split.val], unreadable)
    _report(parts)
    return parts


def _with_groups(videos: list[Video], recipe: Recipe, cache: Path) -> list[Video]:
    """Give every video a group: the stated one, or that of its near-duplicates, which are named."""
    if all(video.group is not None for video in videos):
        return videos
    log(_NO_GROUPS, style="yellow")
    spec = larger(recipe.data.input)
    numbers = group_near_duplicates([difference_hash(load_frames(video, spec, cache)) for video in videos])
    for number, count in Counter(numbers).items():
        if count > 1:
            names = [video.name for video, n in zip(videos, numbers, strict=True) if n == number]
            log(f"nearly the same, kept on one side: {', '.join(names)}", style="yellow")
    return [replace(video, group=videos[n].name) for video, n in zip(videos, numbers, strict=True)]


def _report(parts: Parts) -> None:
    labels = parts.folder.labels
    for name, videos in (("train", parts.train), ("val", parts.val)):
        log(f"{name}: {len(videos)} videos of {_count_groups(videos)} groups")
        if missing := set(range(len(labels))) - {video.label for video in videos}:
            listing = ", ".join(labels[index] for index in sorted(missing))
            log(f"{name} has no video of: {listing} (too few groups)", style="yellow")


def _count_groups(videos: Sequence[Video]) -> int:
    return len({video.group for video in videos})
