"""Pairs pictures with the events that name them, and keeps them as files."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from pathlib import Path

from vedette_edge.files import write_atomically
from vedette_edge.stills import suffix_of
from vedette_edge.topics import Event

__all__ = ["Pairing", "file_name", "save_picture"]

_KEPT = 64


class Pairing:
    """The latest pictures, by SHA-256: an event comes after its picture."""

    def __init__(self) -> None:
        """Begin empty."""
        self._pictures: OrderedDict[str, bytes] = OrderedDict()

    def add(self, picture: bytes) -> str:
        """Remember a picture; return its SHA-256."""
        digest = hashlib.sha256(picture).hexdigest()
        self._pictures[digest] = picture
        self._pictures.move_to_end(digest)
        if len(self._pictures) > _KEPT:
            self._pictures.popitem(last=False)
        return digest

    def of(self, event: Event) -> bytes | None:
        """Return the picture that an event names, if it has come."""
        return None if event.picture is None else self._pictures.get(event.picture.sha256)


def file_name(event: Event, picture: bytes = b"") -> str:
    """Return `<camera>-<event id>-<label>` with the picture's suffix, and nothing that leaves a directory.

    A picture that is not known is taken for JPEG.
    """
    name = "-".join((event.camera, event.id, event.label))
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name) + suffix_of(picture)


def save_picture(directory: Path, event: Event, picture: bytes) -> Path:
    """Write an event's picture, in the place of an earlier one of the same event; return its path.

    Raises:
        OSError: when the disk refuses.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / file_name(event, picture)
    write_atomically(path, picture)
    return path
