"""Divides a dataset into training, validation and test, by group.

A random split of the files leaks: two clips of one scene land on both sides, and the network is praised
for remembering the scene. The test part is what a run reports, and nothing is chosen on it: epochs,
temperature and thresholds are chosen on the validation part.
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import StratifiedGroupKFold

from vedette_edge.errors import DataError

__all__ = ["PARTS", "PartName", "Split", "groups_on_both_sides", "read_split_file", "split_by_group"]

PartName = Literal["train", "val", "test"]
PARTS: tuple[PartName, ...] = ("train", "val", "test")
_MOST_SHARES = 20  # the validation part is so many twentieths at the finest


@dataclass(frozen=True, slots=True)
class Split:
    """Indices of the videos of each part; no group is in two of them unless a file of the user says so."""

    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]


def split_by_group(
    labels: Sequence[int], groups: Sequence[str], *, folds: int, fold: int, val_share: float, seed: int
) -> Split:
    """Deal the groups into folds, keeping the share of each label as even as groups allow.

    Args:
        labels: label of each video.
        groups: group of each video.
        folds: number of folds, at least 2.
        fold: the one to test on, 0..folds-1.
        val_share: share of the other folds, 0..0.5, that becomes the validation part, again by group: at
            least one group, unless it is 0. The rest is for training.
        seed: of both deals.

    Raises:
        DataError: when there are fewer groups than folds, no class has a video for each fold, or a part
            would be empty.
    """
    distinct = len(set(groups))
    if distinct < folds:
        raise DataError(
            f"{distinct} groups cannot be dealt into {folds} folds; add sources or lower data.folds"
        )
    try:
        dealt = _deal(labels, groups, folds, seed)
    except ValueError as error:
        raise DataError(
            f"every class has fewer than {folds} videos, which is too few for {folds} folds; add videos "
            "or lower data.folds"
        ) from error
    rest, test = np.flatnonzero(dealt != fold), np.flatnonzero(dealt == fold)
    if not len(rest) or not len(test):
        raise DataError(f"fold {fold} of {folds} has an empty part; choose another fold or fewer folds")
    chosen = _validation(np.asarray(labels)[rest], np.asarray(groups)[rest], val_share, seed)
    return Split(_indices(rest[~chosen]), _indices(rest[chosen]), _indices(test))


def _deal(labels: ArrayLike, groups: ArrayLike, folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each video."""
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    dealt = np.zeros(np.shape(labels), np.int64)
    with warnings.catch_warnings():
        # Labels with few videos or groups are common here; `load_parts` reports those a part lacks.
        warnings.filterwarnings("ignore", message="The least populated class")
        parts = splitter.split(dealt, np.asarray(labels), np.asarray(groups))
        for number, (_, members) in enumerate(parts):
            dealt[members] = number
    return dealt


def _validation(
    labels: NDArray[np.int64], groups: NDArray[np.str_], share: float, seed: int
) -> NDArray[np.bool_]:
    """Tell which videos validate: a few of so many folds that they come nearest to `share`."""
    if not share:
        return np.zeros(len(labels), np.bool_)
    finest = min(len(np.unique(groups)), int(np.bincount(labels).max()), _MOST_SHARES)
    if finest < 2:
        raise DataError(
            "outside the test fold there are too few groups for training and validation; add sources, or "
            "set data.val_share: 0 and train.keep: last"
        )
    wanted = Fraction(share).limit_denominator(finest) or Fraction(1, finest)
    chosen = _deal(labels, groups, wanted.denominator, seed) < wanted.numerator
    if chosen.all() or not chosen.any():
        raise DataError(
            f"the groups are too uneven for a validation part of {share:.0%}; change data.val_share or seed"
        )
    return chosen


def _indices(array: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(index) for index in array)


def read_split_file(path: Path, names: Sequence[str], unreadable: Sequence[str] = ()) -> Split:
    """Read which part each video belongs to, as somebody else decided: CSV with columns path,part.

    Args:
        path: the file; further columns are not looked at, so that a run's split.csv can be given.
        names: of the videos, as `Video.name`.
        unreadable: names that the file may have as well.

    Raises:
        DataError: when it cannot be read, a row is malformed, a video is named twice or not at all, a name is
            not in the dataset, or nobody trains or nobody is held out.
    """
    part_of = _read_rows(path)
    known = {*names, *unreadable}
    if unknown := sorted(part_of.keys() - known):
        raise DataError(f"{path} names {_some(unknown)}, which the dataset does not have")
    if missing := sorted(set(names) - part_of.keys()):
        raise DataError(f"{path} has no row for {_some(missing)}; every video needs a part")
    parts = {part: tuple(i for i, name in enumerate(names) if part_of[name] == part) for part in PARTS}
    if not parts["train"] or not (parts["val"] or parts["test"]):
        raise DataError(f"{path} needs readable videos to train on and others for val or test")
    return Split(parts["train"], parts["val"], parts["test"])


def _read_rows(path: Path) -> dict[str, str]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    part_of: dict[str, str] = {}
    for number, row in enumerate(rows, start=2):
        name, part = row.get("path"), row.get("part")
        if not name or part not in PARTS:
            raise DataError(
                f"{path}, line {number}: expected columns path and part (train, val or test), "
                f"found {dict(row)}"
            )
        if name in part_of:
            raise DataError(f"{path}, line {number}: {name} is named twice")
        part_of[name] = part
    return part_of


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def groups_on_both_sides(train: Iterable[str], *held_out: Iterable[str]) -> list[str]:
    """Return the groups of the training part that any held-out part has too, sorted."""
    return sorted(set(train) & {group for part in held_out for group in part})
