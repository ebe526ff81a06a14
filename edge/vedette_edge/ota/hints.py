"""Has the updater look when somebody asks over MQTT: a file is touched, and that is all a hint can do.

A hint is retained, so it comes again at each connection: the same one is heeded once a run of the agent.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from vedette_edge.errors import DataError
from vedette_edge.ota.payloads import OtaDesired, read_desired
from vedette_edge.publish.happenings import Received

__all__ = ["Hints"]

_log = logging.getLogger(__name__)

_PAUSE = 60.0  # seconds between two looks
_MOST_IGNORED_LOGGED = 10


class Hints:
    """The hints to one node. `take` is for the link's thread, the rest for the supervisor's."""

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Begin with none.

        Args:
            path: what to touch.
            clock: seconds; only rises.
            now: Unix time, seconds.
        """
        self._path = path
        self._clock = clock
        self._now = now
        self._lock = threading.Lock()
        self._waiting: OtaDesired | None = None
        self._heeded: OtaDesired | None = None
        self._looked = float("-inf")
        self._own = False
        self.ignored = 0

    def take(self, received: Received) -> None:
        """Take a message; what is no hint is counted, and that is all. An empty one clears the topic."""
        if not received.payload:
            return
        try:
            hint = read_desired(received.payload)
        except DataError as error:
            self.ignored += 1
            if self.ignored <= _MOST_IGNORED_LOGGED:
                _log.warning("%s: ignored: %s", received.topic, error)
            return
        with self._lock:
            if hint != self._heeded:
                self._waiting = hint

    def look_soon(self) -> None:
        """Have the updater look for the agent's own sake: it has something to say."""
        with self._lock:
            self._own = True

    def tick(self) -> None:
        """Touch the file where it is time to. Call it often."""
        with self._lock:
            hint = self._waiting if self._waiting and self._now() >= self._waiting.not_before else None
            if not (self._own or hint) or self._clock() - self._looked < _PAUSE or self._just_touched():
                return
            self._looked, self._own = self._clock(), False
            if hint is not None:
                self._heeded, self._waiting = hint, None
        self._touch(hint)

    def _just_touched(self) -> bool:
        """Tell whether an earlier run of the agent has asked within the same minute."""
        try:
            age = self._now() - self._path.stat().st_mtime
        except OSError:
            return False
        # A clock that went back must not forbid it for long.
        return 0 <= age < _PAUSE

    def _touch(self, hint: OtaDesired | None) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch()
        except OSError as error:
            _log.warning("%s: cannot ask the updater to look (%s)", self._path, error.strerror)
            return
        if hint is not None:
            _log.info("asked to look for updates: campaign %s, wave %d", hint.campaign, hint.wave)
