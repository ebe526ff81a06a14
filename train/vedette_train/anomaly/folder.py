"""A folder of good and bad pictures: `train/good`, `test/good`, `test/bad`, perhaps `ground_truth/bad`.

`test/bad` may hold pictures or a folder for each kind of defect. Masks are found by the picture's stem, with
or without `_mask`. Training sees good pictures only; a part of them is held out by group, so that no twin of
a training picture chooses the epoch or the threshold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import cv2
import numpy as np
from scipy.sparse.csgraph import connected_components

from vedette_edge.errors import DataError
from vedette_edge.types import FloatArray
from vedette_train.anomaly.images import SUFFIXES, read_image

__all__ = [
    "AnomalyFolder",
    "Picture",
    "fingerprint",
    "group_twins",
    "hold_out",
    "scan_anomaly",
    "without_damaged",
]

_TRAIN, _GOOD, _BAD, _MASKS = "train/good", "test/good", "test/bad", "ground_truth/bad"
_SIDE, _TWINS = 48, 0.6


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture.

    Attributes:
        name: path below the root, with forward slashes.
        path: the file.
        kind: "good", or the kind of defect ("bad" where none is named).
        mask: file that marks the defect.
        group: number that near-duplicates share; -1 where it was not looked for.
    """

    name: str
    path: Path
    kind: str
    mask: Path | None = None
    group: int = -1

    @property
    def bad(self) -> bool:
        """Whether it shows a defect."""
        return self.kind != "good"


@dataclass(frozen=True, slots=True)
class AnomalyFolder:
    """What a dataset holds."""

    root: Path
    train: tuple[Picture, ...]
    test: tuple[Picture, ...]


def scan_anomaly(root: Path, *, test: bool = True) -> AnomalyFolder:
    """List the pictures of a dataset, in the order of their names.

    Raises:
        DataError: when a folder that is needed is missing or empty; names what is there instead.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; expected a folder with {_TRAIN}, {_GOOD} and {_BAD}")
    train = tuple(Picture(_name(path, root), path, "good") for path in _pictures(_needed(root, _TRAIN)))
    if not train:
        raise DataError(f"{root / _TRAIN}: holds no picture; put the good pictures there")
    return AnomalyFolder(root, train, _test(root) if test else ())


def group_twins(paths: Sequence[Path]) -> list[int]:
    """Return a group number for each picture; near-duplicates, also through a third picture, share one.

    Twins show the same piece under another light or moved by little: their small, high-passed, locally
    normalised copies correlate by more than 0.6.
    """
    if not paths:
        return []
    thumbnails = np.stack([_thumbnail(path).ravel() for path in paths])
    similar = thumbnails @ thumbnails.T > _TWINS
    return [int(number) for number in connected_components(similar, directed=False)[1]]


def hold_out(groups: Sequence[int], share: float, seed: int) -> tuple[list[int], list[int]]:
    """Deal pictures into those to train on and those held out, whole groups at a time.

    Args:
        groups: group of each picture.
        share: of the pictures to hold out; at least one group, and never all.
        seed: of the deal.

    Returns:
        Indices to train on, indices held out; each in order.

    Raises:
        DataError: when there are fewer than two groups.
    """
    names, sizes = np.unique(np.asarray(groups), return_counts=True)
    if len(names) < 2:
        raise DataError(
            f"{len(groups)} good pictures form {len(names)} group of near-duplicates; at least two groups "
            f"are needed, one of them to be held out: add pictures to {_TRAIN}"
        )
    wanted, taken = share * len(groups), 0
    chosen: set[int] = set()
    for index in np.random.default_rng(seed).permutation(len(names)):
        # A group that would overshoot by more than it brings closer stays in training.
        if len(chosen) < len(names) - 1 and (not chosen or taken + sizes[index] / 2 <= wanted):
            chosen.add(int(names[index]))
            taken += int(sizes[index])
    held = [index for index, group in enumerate(groups) if group in chosen]
    return [index for index, group in enumerate(groups) if group not in chosen], held


def without_damaged(
    pictures: Sequence[Picture], most: float, on_progress: Callable[[int, int], None] = lambda *_: None
) -> tuple[list[Picture], dict[str, str]]:
    """Leave out the pictures that cannot be decoded.

    Returns:
        The others, and the reason for each that was left out, by its name.

    Raises:
        DataError: when more than the share `most` of them is damaged.
    """
    whole: list[Picture] = []
    damaged: dict[str, str] = {}
    for index, picture in enumerate(pictures):
        try:
            read_image(picture.path)
            whole.append(picture)
        except DataError as error:
            damaged[picture.name] = str(error)
        on_progress(index + 1, len(pictures))
    if len(damaged) > most * len(pictures):
        raise DataError(
            f"{len(damaged)} of {len(pictures)} pictures cannot be used, more than data.max_unreadable "
            f"{most:.0%} lets pass; the first: {next(iter(damaged.values()))}"
        )
    return whole, damaged


def fingerprint(folder: AnomalyFolder) -> str:
    """Return a SHA-256 over the names, kinds and bytes of all pictures."""
    digest = hashlib.sha256()
    for picture in (*folder.train, *folder.test):
        digest.update(f"{picture.name}\0{picture.kind}\0".encode())
        digest.update(hashlib.sha256(picture.path.read_bytes()).digest())
    return digest.hexdigest()


def _test(root: Path) -> tuple[Picture, ...]:
    good = [Picture(_name(path, root), path, "good") for path in _pictures(_needed(root, _GOOD))]
    bad_folder = _needed(root, _BAD)
    kinds = [(bad_folder, "bad")] + [
        (path, path.name) for path in sorted(bad_folder.iterdir()) if path.is_dir()
    ]
    bad = [
        Picture(_name(path, root), path, kind, _mask_of(root, path, bad_folder))
        for folder, kind in kinds
        for path in _pictures(folder)
    ]
    for place, found in ((_GOOD, good), (_BAD, bad)):
        if not found:
            raise DataError(f"{root / place}: holds no picture; put some there, or set data.test: false")
    return (*good, *bad)


def _needed(root: Path, wanted: str) -> Path:
    """Return the folder, or say what is there instead."""
    folder = root
    for part in wanted.split("/"):
        if not (folder / part).is_dir():
            found = sorted(path.name for path in folder.iterdir() if path.is_dir())
            near = _likely(part, found)
            listing = f"found {', '.join(found[:8])}" if found else "found no folder"
            hint = f"rename '{near}' to '{part}'" if near else f"make '{part}'"
            raise DataError(f"{folder}: expected a folder '{part}' (of {wanted}), {listing}; {hint}")
        folder = folder / part
    return folder


_OTHER_NAMES = {
    "good": ("ok", "normal", "io", "fine", "pass"),
    "bad": ("nok", "defect", "defects", "defective", "anomaly", "anomalous", "ko", "faulty", "ng", "fail"),
    "train": ("training", "trainset", "fit"),
    "test": ("testing", "val", "valid", "validation", "eval"),
}


def _likely(part: str, found: Sequence[str]) -> str | None:
    known = {name.lower(): name for name in found}
    if near := get_close_matches(part, known, n=1, cutoff=0.7):
        return known[near[0]]
    return next((known[other] for other in _OTHER_NAMES[part] if other in known), None)


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())


def _mask_of(root: Path, picture: Path, bad_folder: Path) -> Path | None:
    folder = root / _MASKS / picture.parent.relative_to(bad_folder)
    names = [f"{picture.stem}{ending}" for ending in ("", "_mask")]
    candidates = (folder / f"{name}{suffix}" for name in names for suffix in (".png", *sorted(SUFFIXES)))
    return next((path for path in candidates if path.is_file()), None)


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _thumbnail(path: Path) -> FloatArray:
    """Return a picture's structure without its light, (44, 44) float32 of mean 0 and length 1."""
    grey = read_image(path).mean(axis=2).astype(np.float32)
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    fine = small - cv2.GaussianBlur(small, (0, 0), 3)
    even = fine / (np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), 6)) + 1)
    inner = even[2:-2, 2:-2] - even[2:-2, 2:-2].mean()
    return np.asarray(inner / (np.linalg.norm(inner) + 1e-6), dtype=np.float32)
