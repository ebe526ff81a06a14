"""A recorder of the pipeline that keeps videos of events: a few seconds before, and some after.

What runs in the pipeline's thread is small: a few frames a second are shrunk and kept as JPEG. Detector,
video and disk have a thread of their own; frames that it has no time for are dropped and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vedette_edge.errors import DataError
from vedette_edge.privacy import Redactor
from vedette_edge.publish.base import Message
from vedette_edge.recording.background import Background
from vedette_edge.recording.planner import ClipPlanner, Job, Shot
from vedette_edge.recording.retention import Retention
from vedette_edge.recording.writer import ClipWriter
from vedette_edge.stills import encode
from vedette_edge.topics import Topics, parse_event
from vedette_edge.types import Frame, Image

__all__ = ["ClipRecorder", "ClipStyle"]

_ROUNDING = 1e-6  # 10 x 0.3 must count as 3
_JPEG_QUALITY = 90  # of what waits in memory; it is encoded once more
_WAITING_BYTES = 32 * 1024 * 1024  # as much as the planner remembers, so that all of that can wait


@dataclass(frozen=True, slots=True)
class ClipStyle:
    """What clips are like.

    Attributes:
        before: seconds before an event.
        after: seconds after it.
        longest: seconds that a clip lasts at most.
        fps: frames a second at most.
        side: longer side of the picture at most, pixels.
        quality: of the encoding, 20..100.
    """

    before: float = 5.0
    after: float = 5.0
    longest: float = 120.0
    fps: float = 10.0
    side: int = 640
    quality: int = 60


class ClipRecorder:
    """Keeps the clips of one camera."""

    def __init__(
        self,
        directory: Path,
        topics: Topics,
        camera: str,
        style: ClipStyle,
        redactor: Redactor,
        retention: Retention,
    ) -> None:
        """Start the thread that writes.

        Args:
            directory: where the clips are kept.
            topics: of the node.
            camera: its identifier.
            style: of the clips.
            redactor: hides what nobody may see.
            retention: lets the oldest go.
        """
        self._events = topics.events(camera)
        self._style = style
        self._planner = ClipPlanner(before=style.before, after=style.after, longest=style.longest)
        self._writer = ClipWriter(directory, redactor, quality=style.quality)
        self._background = Background(f"clips-{camera}", self._writer.take, retention.tidy)
        self._taken = -1.0
        self.dropped = 0

    @property
    def written(self) -> int:
        """Clips that are on the disk."""
        return self._writer.written

    @property
    def failed(self) -> int:
        """Clips that the disk refused."""
        return self._writer.failed

    def push(self, frame: Frame, messages: Sequence[Message]) -> None:
        """Take the next frame, and the messages that were written at it; see `pipeline.Recorder`."""
        if self._is_due(frame.time):
            self._taken = frame.time
            jpeg = encode(_fitted(frame.image, self._style.side), quality=_JPEG_QUALITY).data
            self._do(self._planner.push(Shot(frame.time, jpeg)))
        self._tell(messages)

    def finish(self, messages: Sequence[Message]) -> None:
        """End the stream, with the last messages: what is being kept is completed."""
        self._tell(messages)
        self._do(self._planner.finish())
        self._taken = -1.0

    def stop(self) -> None:
        """Let the thread end once it has written what waits; call it when no frames come any more."""
        self.finish(())
        self._background.stop()

    @property
    def finished(self) -> bool:
        """Whether the thread has ended."""
        return self._background.finished

    def _is_due(self, time: float) -> bool:
        """Tell whether a frame is the first of its part of a second, and not too close to the last."""
        if self._taken < 0 or time < self._taken:
            return True
        fps = self._style.fps
        slot, taken = (int(fps * moment + _ROUNDING) for moment in (time, self._taken))
        return slot > taken and time - self._taken >= 0.5 / fps

    def _tell(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if message.topic == self._events:
                try:
                    event = parse_event(message.payload)
                except DataError:
                    continue  # not of a model: tampering has a payload of its own
                self._do(self._planner.tell(event))

    def _do(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            # About: those that wait are of the same camera, so about as large.
            if isinstance(job, Shot) and len(self._background) * len(job.jpeg) > _WAITING_BYTES:
                self.dropped += 1
            else:
                self._background.put(job)


def _fitted(image: Image, side: int) -> Image:
    height, width = image.shape[:2]
    shrink = side / max(height, width)
    if shrink >= 1:
        return image
    size = max(1, round(shrink * width)), max(1, round(shrink * height))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
