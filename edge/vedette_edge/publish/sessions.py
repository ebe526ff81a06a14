"""Numbers the connections of a node, so that a late will never outdoes a newer birth."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from vedette_edge.files import write_atomically

__all__ = ["Sessions"]

_log = logging.getLogger(__name__)


class Sessions:
    """Numbers the connections of a node, across restarts."""

    def __init__(self, path: Path) -> None:
        """Keep the last number in the file at `path`."""
        self._path = path
        try:
            self._last = int(path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            # Lost with its file: the clock is higher than any count of connections.
            self._last = int(time.time()) if path.exists() else 0

    def next(self) -> int:
        """Return a number above all before. A disk that refuses is logged: the link matters more."""
        self._last += 1
        try:
            write_atomically(self._path, str(self._last).encode())
        except OSError as error:
            _log.warning("cannot keep the session number in %s: %s", self._path, error)
        return self._last
