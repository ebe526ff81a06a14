"""Keeps the pictures of events as files, in a thread of its own: a slow or full disk delays no event."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from vedette_edge.errors import DataError
from vedette_edge.pictures import Pairing, save_picture
from vedette_edge.publish.base import JSON, Message
from vedette_edge.recording.background import Background
from vedette_edge.recording.retention import Retention
from vedette_edge.topics import parse_event

__all__ = ["PictureArchive"]

_log = logging.getLogger(__name__)

_WAITING = 64  # sets of messages, with a picture or two each


class PictureArchive:
    """Keeps pictures in one directory; cameras may share it."""

    def __init__(self, directory: Path, retention: Retention) -> None:
        """Start the thread; `retention` lets the oldest go."""
        self._directory = directory
        self._background = Background("pictures", self._save, retention.tidy)
        self._failing = False
        self.dropped = 0

    def keep(self, messages: Sequence[Message]) -> None:
        """Keep the pictures that the events among these messages name; never blocks."""
        if all(message.content_type == JSON for message in messages):
            return
        if len(self._background) >= _WAITING:
            self.dropped += 1
        else:
            self._background.put(messages)

    def stop(self) -> None:
        """Let the thread end once it has saved what waits."""
        self._background.stop()

    @property
    def finished(self) -> bool:
        """Whether the thread has ended."""
        return self._background.finished

    def _save(self, messages: Sequence[Message]) -> None:
        pairing = Pairing()
        for message in messages:
            if message.content_type != JSON:
                pairing.add(message.payload)
                continue
            try:
                event = parse_event(message.payload)
                picture = pairing.of(event)
                if picture is not None:
                    save_picture(self._directory, event, picture)
                    self._failing = False
            except DataError:
                continue  # not of a model: tampering has a payload of its own
            except OSError as error:
                if not self._failing:
                    _log.warning("cannot keep pictures in %s: %s", self._directory, error.strerror or error)
                self._failing = True
