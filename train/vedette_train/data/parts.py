"""From a folder to the three parts of a training: scanned, decoded, grouped, divided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vedette_edge.errors import ConfigError, DataError
from vedette_train.console import log, progress
from vedette_train.data.clips import larger
from vedette_train.data.duplicates import difference_hash, group_near_duplicates
from vedette_train.data.folder import Video, VideoFolder, scan
from vedette_train.data.frames import Unreadable, load_frames, prepare_frames
from vedette_train.data.split import (
    Split,
    groups_on_both_sides,
    read_split_file,
    split_by_group,
)
from vedette_train.recipe import Recipe

__all__ = ["Parts", "load_parts"]

_NO_GROUPS = (
    "this dataset has no groups.csv: clips of one scene or person may lie on both sides of the split, and "
    "the accuracy will flatter; write one (columns path,label,group)"
)
_CROSSING = (
    "the split file puts {count} groups into training and also into a held-out part, so the figures will "
    "flatter: {names}"
)


@dataclass(frozen=True, slots=True)
class Parts:
    """The readable videos of a dataset, divided by group; every video has one.

    Attributes:
        folder: the dataset.
        train: what the network learns from.
        val: what epochs, temperature and thresholds are chosen on; may be empty.
        test: what the run reports; empty only where a split file has none.
        unreadable: what was left out.
    """

    folder: VideoFolder
    train: list[Video]
    val: list[Video]
    test: list[Video]
    unreadable: list[Unreadable]

    @property
    def by_name(self) -> dict[str, list[Video]]:
        """The parts by the names that a split file gives them."""
        return {"train": self.train, "val": self.val, "test": self.test}


def load_parts(recipe: Recipe, data: Path, cache: Path) -> Parts:
    """Scan, decode and split the dataset; say what was left out and what the split lacks.

    Raises:
        DataError: when the dataset or its split file cannot be used.
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
    split = _split(videos, unreadable, recipe, data)
    train, val, test = ([videos[i] for i in part] for part in (split.train, split.val, split.test))
    parts = Parts(folder, train, val, test, unreadable)
    _report(parts)
    return parts


def _split(videos: Sequence[Video], unreadable: Sequence[Unreadable], recipe: Recipe, data: Path) -> Split:
    settings = recipe.data
    if settings.split_file is None:
        return split_by_group(
            [video.label for video in videos],
            [video.group or video.name for video in videos],
            folds=settings.folds,
            fold=settings.fold,
            val_share=settings.val_share,
            seed=recipe.seed,
        )
    path = settings.split_file if settings.split_file.is_file() else data / settings.split_file
    split = read_split_file(path, [video.name for video in videos], [item.video.name for item in unreadable])
    if not split.val and recipe.train.needs_validation:
        raise DataError(
            f"{path} has no readable video of part val, so no epoch can be chosen; name some, or set "
            "train.keep: last, without patience and without schedule: plateau"
        )
    return split


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
    for name, videos in parts.by_name.items():
        log(f"{name}: {len(videos)} videos of {len(_groups(videos))} groups")
        missing = set(range(len(labels))) - {video.label for video in videos}
        if videos and missing:
            listing = ", ".join(labels[index] for index in sorted(missing))
            log(f"{name} has no video of: {listing} (too few groups)", style="yellow")
    crossing = groups_on_both_sides(_groups(parts.train), _groups(parts.val), _groups(parts.test))
    if crossing:
        log(_CROSSING.format(count=len(crossing), names=", ".join(crossing)), style="yellow")


def _groups(videos: Sequence[Video]) -> set[str]:
    return {video.group or video.name for video in videos}
