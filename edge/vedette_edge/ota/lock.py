"""Keeps two visits from one model store."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from vedette_edge.errors import UpdateError

__all__ = ["BusyError", "only_one"]


class BusyError(UpdateError):
    """Another visit is under way."""


@contextlib.contextmanager
def only_one(root: Path) -> Iterator[None]:
    """Keep other visits from a model store; the lock goes with the process, however that ends.

    Raises:
        BusyError: when another visit is under way.
        UpdateError: when the store cannot be written.
    """
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise UpdateError(f"{root}: cannot use this model store ({error.strerror})") from error
    try:
        _take(descriptor, root)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, root: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BusyError(f"{root}: another visit is under way, so this one ends") from None
