"""Lets the oldest clips and pictures go: bounded in bytes and in days. Files of others are left alone."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Kept", "Retention", "to_go"]

_log = logging.getLogger(__name__)

_DAY = 86_400.0  # seconds
_ULID = "[0-9A-HJKMNP-TV-Z]{26}"
# <camera>-<event>.webm and .json; <camera>-<event>-<label>.jpg or .webp
_OURS = re.compile(rf"([a-z0-9-]+-{_ULID})(\.webm|\.json|-[A-Za-z0-9_-]*\.(?:jpg|webp))")
_LEFT_OVER = re.compile(rf"\.{_OURS.pattern}\.\d+\.tmp")


@dataclass(frozen=True, slots=True)
class Kept:
    """What goes together: a video and its JSON file, or a picture.

    Attributes:
        paths: its files.
        bytes: their size.
        modified: Unix time of the latest change, seconds.
    """

    paths: tuple[Path, ...]
    bytes: int
    modified: float


def to_go(kept: Iterable[Kept], *, now: float, max_bytes: int, max_age: float) -> list[Kept]:
    """Return what must go, oldest first: all that is too old, then the oldest until the rest fits.

    Args:
        kept: everything.
        now: Unix time, seconds.
        max_bytes: bound on the sum.
        max_age: seconds.
    """
    oldest_first = sorted(kept, key=lambda one: one.modified)
    total = sum(one.bytes for one in oldest_first)
    going = []
    for one in oldest_first:
        if total <= max_bytes and now - one.modified <= max_age:
            break
        going.append(one)
        total -= one.bytes
    return going


class Retention:
    """Keeps directories within their bounds, together; threads may share it."""

    def __init__(
        self,
        directories: Sequence[Path],
        *,
        max_bytes: int,
        keep_days: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Keep `directories` within `max_bytes`, and nothing in them for longer than `keep_days`."""
        self._directories = directories
        self._max_bytes = max_bytes
        self._max_age = keep_days * _DAY
        self._now = now
        self._one_at_a_time = threading.Lock()

    def recover(self) -> None:
        """Remove what a kill left half written; call it before anything is written."""
        for path in self._files():
            if _LEFT_OVER.fullmatch(path.name):
                self._remove(path)

    def tidy(self) -> None:
        """Let go what must."""
        with self._one_at_a_time:
            for kept in to_go(
                self._kept(), now=self._now(), max_bytes=self._max_bytes, max_age=self._max_age
            ):
                for path in kept.paths:
                    self._remove(path)

    def _kept(self) -> list[Kept]:
        groups: dict[tuple[Path, str], list[Path]] = {}
        for path in self._files():
            if _OURS.fullmatch(path.name):
                groups.setdefault((path.parent, path.stem), []).append(path)
        return [one for paths in groups.values() if (one := _measured(paths)) is not None]

    def _files(self) -> list[Path]:
        found: list[Path] = []
        for directory in self._directories:
            with contextlib.suppress(OSError):  # not there yet
                found += directory.iterdir()
        return found

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("cannot remove %s: %s", path, error.strerror)


def _measured(paths: Sequence[Path]) -> Kept | None:
    try:
        found = [path.stat() for path in paths]
    except FileNotFoundError:  # another one removed it, or it is just being replaced
        return None
    return Kept(tuple(paths), sum(one.st_size for one in found), max(one.st_mtime for one in found))
