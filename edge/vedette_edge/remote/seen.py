"""The ids of the last 1,024 commands, on disk: none is done twice, not even after a restart."""

from __future__ import annotations

import logging
from pathlib import Path

from vedette_edge.files import write_atomically
from vedette_edge.remote.commands import Refused

__all__ = ["Seen"]

_log = logging.getLogger(__name__)
_KEPT = 1024


class Seen:
    """What was done before."""

    def __init__(self, path: Path) -> None:
        """Read the file at `path`, if it is there. What is no text of ours is begun anew."""
        self._path = path
        self._ids: dict[str, None] = {}
        try:
            self._ids = dict.fromkeys(path.read_text(encoding="ascii").split()[-_KEPT:])
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            _log.warning("%s: cannot read the ids of earlier commands (%s); begun anew", path, error)

    def claim(self, command_id: str) -> None:
        """Note an id on the disk, before its command is done.

        Raises:
            Refused: when it was there, or cannot be noted: then its command is not done.
        """
        if command_id in self._ids:
            raise Refused("replayed", f"a command with the id '{command_id}' came before", command_id)
        kept = [*self._ids, command_id][-_KEPT:]
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, "\n".join(kept).encode())
        except OSError as error:
            text = f"{self._path}: cannot note that it was done ({error.strerror}), so it is not done"
            raise Refused("unavailable", text, command_id) from error
        self._ids = dict.fromkeys(kept)
