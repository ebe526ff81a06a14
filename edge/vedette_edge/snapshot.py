"""The plain frame on demand: remembers a camera's latest frame, and encodes it only when asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from vedette_edge.events import PictureStyle
from vedette_edge.privacy import Redactor
from vedette_edge.publish.base import Message
from vedette_edge.stills import Still, encode
from vedette_edge.topics import Topics
from vedette_edge.types import Frame

__all__ = ["LatestFrame"]


class LatestFrame:
    """A recorder of one frame; any thread may ask for it."""

    def __init__(
        self,
        topics: Topics,
        camera: str,
        style: PictureStyle,
        redactor: Redactor,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Remember the frames of `camera`.

        Args:
            topics: of the node.
            camera: its identifier.
            style: of the picture.
            redactor: hides what nobody may see.
            now: Unix time, seconds.
        """
        self._topics = topics
        self._camera = camera
        self._style = style
        self._redactor = redactor
        self._now = now
        self._latest: tuple[Frame, float] | None = None

    def push(self, frame: Frame, messages: Sequence[Message]) -> None:
        """Take the next frame; see `pipeline.Recorder`."""
        del messages
        self._latest = frame, self._now()

    def finish(self, messages: Sequence[Message]) -> None:
        """Forget the frame: a camera that is gone sees nothing."""
        del messages
        self._latest = None

    def encode(self) -> bytes | None:
        """Return the latest frame, redacted and within the bound; None before the first."""
        latest = self._latest
        return None if latest is None else self._encode(latest[0]).data

    def message(self) -> Message | None:
        """Return the message that sends the latest frame; None before the first."""
        latest = self._latest
        if latest is None:
            return None
        still = self._encode(latest[0])
        return Message(
            self._topics.snapshot(self._camera),
            still.data,
            content_type=still.content_type,
            properties=(("from", self._topics.node), ("time", f"{latest[1]:.3f}")),
        )

    def _encode(self, frame: Frame) -> Still:
        safe, style = self._redactor.redact(frame.image), self._style
        return encode(safe, to=style.format, quality=style.quality, max_bytes=style.max_bytes)
