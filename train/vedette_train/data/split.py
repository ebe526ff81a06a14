"""Divides a dataset into training and validation, by group.

A random split of the files leaks: two clips of one scene land on both sides, and the network is praised
for remembering the scene.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from vedette_edge.errors import DataError

__all__ = ["Split", "split_by_group"]


@dataclass(frozen=True, slots=True)
class Split:
    """Indices of the videos of each part; no group is in both."""

    train: tuple[int, ...]
    val: tuple[int, ...]


def split_by_group(
    labels: Sequence[int], groups: Sequence[str], *, folds: int, fold: int, seed: int
) -> Split:
    """Deal the groups into folds, keeping the share of each label as even as groups allow.

    Args:
        labels: label of each video.
        groups: group of each video.
        folds: number of folds, at least 2.
        fold: the one to validate on, 0..folds-1; the others are for training.
        seed: of the deal.

    Raises:
        DataError: when there are fewer groups than folds, no class has a video for each fold, or a part
            would be empty.
    """
    distinct = len(set(groups))
    if distinct < folds:
        raise DataError(
            f"{distinct} groups cannot be dealt into {folds} folds; add sources or lower data.folds"
        )
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # Labels with few videos or groups are common here; `fit` reports those a part lacks.
        warnings.filterwarnings("ignore", message="The least populated class")
        try:
            parts = list(splitter.split(np.zeros(len(labels)), np.asarray(labels), np.asarray(groups)))
        except ValueError as error:
            raise DataError(
                f"every class has fewer than {folds} videos, which is too few for {folds} folds; add videos "
                "or lower data.folds"
            ) from error
    train, val = parts[fold]
    if not len(train) or not len(val):
        raise DataError(f"fold {fold} of {folds} has an empty part; choose another fold or fewer folds")
    return Split(tuple(int(i) for i in train), tuple(int(i) for i in val))
