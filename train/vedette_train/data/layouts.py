"""Recognises how the folders of other people's datasets are laid out, and says what is wrong with a root.

Known, beside our own folder of classes (`data.folder`):

    parts     <root>/{train,val,test}/<class>/<video>        RWF-2000 and most others
    nested    <root>/videos/... or <root>/frames/... as above, with metadata/<part>.csv
    table     <root>/<class>/<video> with split.csv (path, id or video_name; part or split)

A video is a file, or a folder of pictures. "valid", "validation" and "testing" are taken for val and test.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from vedette_edge.video import PICTURE_SUFFIXES, VIDEO_SUFFIXES

__all__ = ["class_folders", "nested_roots", "part_folders", "source_group", "suggest", "videos_in"]

_PARTS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val"}
_PARTS |= {"test": "test", "testing": "test"}
_NESTED = ("videos", "frames")
_UCF = re.compile(r"^v_(?P<name>\w+?)_g(?P<group>\d+)_c\d+", re.ASCII)


def videos_in(folder: Path) -> list[Path]:
    """Return the videos right in a folder: files, and folders that hold pictures; sorted by name."""
    return sorted(p for p in folder.iterdir() if not p.name.startswith(".") and _is_video(p))


def class_folders(root: Path) -> list[Path]:
    """Return the folders of a root that hold videos, sorted."""
    return [folder for folder in _folders(root) if videos_in(folder)]


def part_folders(root: Path) -> dict[str, Path]:
    """Return the folders train, val and test of a root that hold class folders, by our names of them."""
    found = {_PARTS[p.name.lower()]: p for p in _folders(root) if p.name.lower() in _PARTS}
    return {part: folder for part, folder in found.items() if class_folders(folder)}


def nested_roots(root: Path) -> list[Path]:
    """Return `root`/videos and `root`/frames where these hold parts."""
    return [root / name for name in _NESTED if (root / name).is_dir() and part_folders(root / name)]


def source_group(name: str) -> str | None:
    """Return the source that a video's name tells, or None.

    Known is UCF101: v_<class>_g<group>_c<clip>; the clips of a group show one person in one place.

    >>> source_group("v_PushUps_g08_c02.avi")
    'PushUps-g08'
    """
    match = _UCF.match(name)
    return f"{match['name']}-g{match['group']}" if match else None


def suggest(root: Path) -> str:
    """Return what the user most likely meant where `root` is no folder of classes, or an empty text."""
    if not root.is_dir():
        near = difflib.get_close_matches(root.name, [p.name for p in _folders(root.parent)], n=1)
        return f"; did you mean {root.parent / near[0]}?" if near else ""
    if part_folders(root) or nested_roots(root):
        return f"; it is divided into parts: run  vedette-train data adopt {root} --out DIR  and give it DIR"
    for folder in _folders(root):
        if len(class_folders(folder)) >= 2:
            return f"; did you mean {folder}?"
    if videos_in(root) and len(class_folders(root.parent)) >= 2:
        return f"; it holds videos itself, so it is a class: did you mean {root.parent}?"
    if holder := next((folder for folder in [root, *_folders(root)] if _pictures(folder)), None):
        return (
            "; there are pictures, not videos: give the pictures of each video a folder of their own in the "
            f"folder of their class, as in {holder}/first_video/frame_1.jpg"
        )
    return ""


def _is_video(path: Path) -> bool:
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return True
    return path.is_dir() and _pictures(path)


def _pictures(folder: Path) -> bool:
    """Tell whether a folder holds pictures, without listing all of it."""
    return any(p.suffix.lower() in PICTURE_SUFFIXES and not p.name.startswith(".") for p in folder.iterdir())


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
