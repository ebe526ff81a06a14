"""The labelled clips that rules are tuned on: DIR/<label>/<video>, and a list of which belong together.

The list is CSV with the columns `path` (relative to DIR, with forward slashes), `label` and `group`. Clips
of one scene or person share a group, and are never on both sides of a split. List and folder must agree: a
clip that is forgotten would be missing from the figures without a word.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vedette_edge.errors import DataError
from vedette_edge.video import VIDEO_SUFFIXES

__all__ = ["LabelledClip", "read_clips"]

_COLUMNS = ("path", "label", "group")
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class LabelledClip:
    """A video that shows one thing from beginning to end.

    Attributes:
        path: where it lies.
        name: relative to the folder, with forward slashes.
        label: what it shows.
        group: clips that belong together.
    """

    path: Path
    name: str
    label: str
    group: str


def read_clips(directory: Path, groups: Path) -> list[LabelledClip]:
    """Return the clips that a list names, in its order.

    Args:
        directory: of the labels' folders.
        groups: the list.

    Raises:
        DataError: when the list cannot be read or is malformed, a label is not the clip's folder, or list and
            folders disagree.
    """
    clips = [LabelledClip(directory / path, path, label, group) for path, label, group in _rows(groups)]
    listed = [clip.name for clip in clips]
    there = sorted(
        path.relative_to(directory).as_posix()
        for path in directory.glob("*/*")
        if path.suffix.lower() in VIDEO_SUFFIXES
    )
    problems = [
        _problem("not in the folder of their label", [c.name for c in clips if _folder(c.name) != c.label]),
        _problem("listed twice", sorted({name for name in listed if listed.count(name) > 1})),
        _problem(f"not there in {directory}", [name for name in listed if name not in set(there)]),
        _problem(f"in {directory} but not listed", [name for name in there if name not in set(listed)]),
    ]
    if found := [problem for problem in problems if problem]:
        raise DataError(f"{groups}: {'; '.join(found)}")
    return clips


def _rows(groups: Path) -> list[tuple[str, str, str]]:
    try:
        with groups.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            found = tuple(reader.fieldnames or ())
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{groups}: cannot read this list of clips ({error})") from error
    if not set(_COLUMNS) <= set(found):
        raise DataError(
            f"{groups}: expected the columns {', '.join(_COLUMNS)}, found {', '.join(found) or 'none'}"
        )
    for number, row in enumerate(rows, 2):
        if not all(row[column] for column in _COLUMNS):
            raise DataError(f"{groups}, line {number}: path, label and group must all be given")
    if not rows:
        raise DataError(f"{groups}: lists no clip")
    return [(row["path"], row["label"], row["group"]) for row in rows]


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _problem(what: str, names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{what}: {', '.join(names[:_SHOWN])}{more}" if names else ""
