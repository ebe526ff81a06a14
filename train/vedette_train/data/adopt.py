"""Makes our folder of classes of somebody else's layout: links to the videos, split.csv, and groups.csv.

Nothing is copied. groups.csv is written where the names of all videos tell their source; see
`layouts.source_group`.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from vedette_edge.errors import DataError, UsageError
from vedette_edge.files import write_atomically
from vedette_train.data.folder import GROUPS_FILE
from vedette_train.data.layouts import class_folders, nested_roots, part_folders, source_group, videos_in

__all__ = ["SPLIT_FILE", "Adopted", "adopt", "split_table"]

SPLIT_FILE = "split.csv"
_EXPECTED = (
    "expected {train,val,test}/<class>/<video>, the same below videos/ or frames/, or <class>/<video> "
    "with split.csv (columns path or id, and part or split)"
)
_PART_OF = {"train": "train", "val": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True, slots=True)
class Adopted:
    """One video of the new layout.

    Attributes:
        source: the video.
        label: its class.
        name: its name in the class folder; differs from the source's where two parts have one of that name.
        part: train, val or test.
        group: its source, where the name tells.
    """

    source: Path
    label: str
    name: str
    part: str
    group: str | None


def adopt(source: Path, out: Path, *, frames: bool = False) -> list[Adopted]:
    """Write our layout of a dataset.

    Args:
        source: the dataset's folder.
        out: a new folder.
        frames: where there are videos/ and frames/, take the frames.

    Returns:
        What was linked, sorted by part, class and name.

    Raises:
        UsageError: when `out` is not empty.
        DataError: when the layout is not known, metadata disagrees with it, or links cannot be made.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is not empty; --out is a new folder")
    videos = _recognise(source, frames)
    try:
        for video in videos:
            link = out / video.label / video.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(video.source.resolve(), target_is_directory=video.source.is_dir())
        _write_tables(out, videos)
    except OSError as error:
        raise DataError(f"{out}: links cannot be made here ({error})") from error
    return videos


def _recognise(source: Path, frames: bool) -> list[Adopted]:
    if not source.is_dir():
        raise DataError(f"{source}: no such folder; {_EXPECTED}")
    if part_folders(source):
        return _from_parts(source)
    if nested := nested_roots(source):
        chosen = {root.name: root for root in nested}
        root = chosen.get("frames" if frames else "videos", nested[0])
        videos = _from_parts(root)
        for part in sorted({video.part for video in videos}):
            _check_metadata(source / "metadata" / f"{part}.csv", [v for v in videos if v.part == part])
        return videos
    if (source / SPLIT_FILE).is_file() and class_folders(source):
        return _from_table(source)
    if (source / SPLIT_FILE).is_file() and (source / "labels").is_dir():
        raise DataError(
            f"{source} has a label for every frame: run  vedette-train data cut {source} --out DIR"
        )
    found = ", ".join(sorted(p.name for p in source.iterdir())[:8]) or "nothing"
    raise DataError(f"{source}: the layout is not known; found {found}; {_EXPECTED}")


def _from_parts(root: Path) -> list[Adopted]:
    found = [
        (part, folder.name, path)
        for part, place in sorted(part_folders(root).items())
        for folder in class_folders(place)
        for path in videos_in(folder)
    ]
    times = Counter((label, path.name) for _, label, path in found)
    return [
        Adopted(
            path,
            label,
            f"{part}-{path.name}" if times[label, path.name] > 1 else path.name,
            part,
            source_group(path.name),
        )
        for part, label, path in found
    ]


def split_table(path: Path) -> dict[str, str]:
    """Return the part of each video of somebody else's table: path, id or video_name; part or split.

    Raises:
        DataError: when it cannot be read, or a row is malformed.
    """
    parts: dict[str, str] = {}
    for number, row in enumerate(_rows(path), start=2):
        name = row.get("path") or row.get("id") or row.get("video_name")
        part = _PART_OF.get((row.get("part") or row.get("split") or "").lower())
        if not name or part is None:
            raise DataError(
                f"{path}, line {number}: expected columns path (or id, or video_name) and part (or split) of "
                f"train, val or test; found {dict(row)}"
            )
        parts[name] = part
    return parts


def _from_table(root: Path) -> list[Adopted]:
    path = root / SPLIT_FILE
    parts, videos = split_table(path), []
    for folder in class_folders(root):
        for video in videos_in(folder):
            keys = (f"{folder.name}/{video.name}", video.name, video.stem)
            part = next((parts[key] for key in keys if key in parts), None)
            if part is None:
                raise DataError(f"{path} has no row for {keys[0]}; every video needs a part")
            videos.append(Adopted(video, folder.name, video.name, part, source_group(video.name)))
    return sorted(videos, key=lambda video: (video.part, video.label, video.name))


def _check_metadata(path: Path, videos: list[Adopted]) -> None:
    """Refuse a table that lists other videos than the folders hold, or gives one class two labels."""
    if not path.is_file():
        return
    label_of = {Path(row.get("video_name") or "").stem: row.get("label") for row in _rows(path)}
    folders = {video.source.stem if video.source.is_file() else video.source.name: video for video in videos}
    if different := sorted(label_of.keys() ^ folders.keys()):
        raise DataError(
            f"{path} and the folders disagree about {len(different)} videos: {', '.join(different[:5])}"
        )
    labels = {(video.label, label_of[name]) for name, video in folders.items()}
    if len(labels) > len({folder for folder, _ in labels}):
        raise DataError(f"{path} gives the videos of one class folder several labels")


def _write_tables(out: Path, videos: list[Adopted]) -> None:
    names = [f"{video.label}/{video.name}" for video in videos]
    parts = [(name, video.part) for name, video in zip(names, videos, strict=True)]
    write_atomically(out / SPLIT_FILE, _table(("path", "part"), parts))
    if all(video.group for video in videos):
        groups = [(name, v.label, v.group or "") for name, v in zip(names, videos, strict=True)]
        write_atomically(out / GROUPS_FILE, _table(("path", "label", "group"), groups))


def _table(header: tuple[str, ...], rows: list[tuple[str, str]] | list[tuple[str, str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([header, *rows])
    return text.getvalue().encode()


def _rows(path: Path) -> list[dict[str, str | None]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
