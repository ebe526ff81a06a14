"""One loaded model for all cameras."""

from __future__ import annotations

import threading
import time

from vedette_edge.metrics import Durations
from vedette_edge.runtimes.base import Session
from vedette_edge.types import FloatArray, Outputs

__all__ = ["SharedSession"]


class SharedSession:
    """One loaded model for all cameras: they take turns, and the time of each turn is kept."""

    def __init__(self, session: Session) -> None:
        """Share `session`."""
        self._session = session
        self._lock = threading.Lock()
        self.durations = Durations()

    def run(self, clips: FloatArray) -> Outputs:
        """Return the outputs for (N, C, T, H, W) float32 clips.

        Raises:
            RuntimeBackendError: when the runtime fails.
        """
        with self._lock:
            began = time.monotonic()
            outputs = self._session.run(clips)
            self.durations.add(time.monotonic() - began)
        return outputs
