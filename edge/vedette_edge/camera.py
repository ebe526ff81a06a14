"""One camera: runs its pipeline behind two threads, capture and inference, with a bounded queue between them.

Each message is kept safe before the next frame is taken.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from vedette_edge.capture import Status
from vedette_edge.config.sources import BackPressure
from vedette_edge.errors import VedetteError
from vedette_edge.handover import HandOver
from vedette_edge.health import Heartbeat
from vedette_edge.pipeline import Stage
from vedette_edge.publish.base import JSON, Message, MessageSink
from vedette_edge.sources.base import Feed, Pause
from vedette_edge.types import Frame

__all__ = ["Camera"]

_log = logging.getLogger(__name__)

# Frames between capture and inference: enough to ride out a slow inference, few enough to stay fresh.
_QUEUE = 4
_PAUSE = 0.5  # seconds between two heartbeats of a capture that waits


class Camera:
    """Runs a pipeline on a source, in two threads."""

    def __init__(
        self,
        name: str,
        open_source: Callable[[Pause], Feed],
        pipeline: Stage,
        sink: MessageSink,
        *,
        pressure: BackPressure,
        on_status: Callable[[str, Status, str], None],
        on_messages: Callable[[Sequence[Message]], None] | None = None,
    ) -> None:
        """Prepare; nothing runs before `start`.

        Args:
            name: the camera's identifier.
            open_source: builds the source, given a way to pause.
            pipeline: what happens to its frames.
            sink: keeps the messages.
            pressure: what happens to frames for which there is no time.
            on_status: told of (name, status, reason) when it has ended; the source tells what comes before.
            on_messages: told of messages after the sink has them.
        """
        self.name = name
        self._source = open_source(self._pause)
        self._pipeline = pipeline
        self._next_pipeline = pipeline
        self._sink = sink
        self._on_status = on_status
        self._on_messages = on_messages
        self._queue: HandOver[tuple[Frame, float]] = HandOver(
            1 if pressure == "latest" else _QUEUE, lossless=pressure == "wait"
        )
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._capture, name=f"capture-{name}", daemon=True),
            threading.Thread(target=self._infer, name=f"inference-{name}", daemon=True),
        ]
        self.heartbeats = [Heartbeat(thread.name) for thread in self._threads]
        self.events = 0
        self.error: Exception | None = None

    @property
    def frames(self) -> int:
        """Frames that the camera gave."""
        return self._source.seen

    @property
    def dropped(self) -> int:
        """Frames dropped because inference was behind."""
        return self._queue.dropped + self._source.dropped

    @property
    def restarts(self) -> int:
        """How often the source was started again."""
        return self._source.restarts

    @property
    def queued(self) -> int:
        """Frames that wait for inference."""
        return len(self._queue)

    @property
    def started(self) -> bool:
        """Whether `start` was called."""
        return self._threads[0].ident is not None

    @property
    def finished(self) -> bool:
        """Whether both threads have ended."""
        return not any(thread.is_alive() for thread in self._threads)

    def start(self) -> None:
        """Start capture and inference."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop the capture; what was captured is still judged, and active events end."""
        self._stopping.set()

    def follow(self, pipeline: Stage) -> None:
        """Use another pipeline from the next frame on; what is active in the old one ends."""
        self._next_pipeline = pipeline

    def _pause(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while not self._stopping.is_set():
            self.heartbeats[0].beat()
            left = until - time.monotonic()
            if left <= 0:
                return False
            self._stopping.wait(min(left, _PAUSE))
        return True

    def _capture(self) -> None:
        beat = self.heartbeats[0]
        try:
            for frame in self._source.frames():
                if not self._queue.put((frame, time.monotonic()), beat.beat):
                    return
        except Exception as error:
            self._failed(error)
        finally:
            self._queue.close()
            beat.retire()
            ended = "stopped" if self._stopping.is_set() else "end of stream"
            self._on_status(self.name, "offline", str(self.error) if self.error else ended)

    def _infer(self) -> None:
        beat = self.heartbeats[1]
        try:
            while (item := self._queue.get(beat.beat)) is not None:
                beat.beat()
                if self._pipeline is not (following := self._next_pipeline):
                    self._keep(self._pipeline.finish())
                    self._pipeline = following
                self._keep(self._pipeline.push(*item))
            self._keep(self._pipeline.finish())
        except Exception as error:
            self._failed(error)
        finally:
            # The capture must not wait for an inference that is gone.
            self._queue.close()
            beat.retire()

    def _keep(self, messages: list[Message]) -> None:
        if messages:
            self._sink.put(messages)
            self.events += sum(message.content_type == JSON for message in messages)
            if self._on_messages is not None:
                self._on_messages(messages)

    def _failed(self, error: Exception) -> None:
        self.error = self.error or error
        defect = not isinstance(error, VedetteError)
        _log.error("camera '%s': %s", self.name, error, exc_info=defect, extra={"camera": self.name})
