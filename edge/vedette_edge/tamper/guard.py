"""Tells the control room of tampering: a picture and an event when it begins, an event when it ends."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from datetime import datetime

import cv2
import numpy as np

from vedette_edge.events import draw_banner
from vedette_edge.publish.base import Message
from vedette_edge.tamper.detector import Kind, TamperChange, TamperDetector
from vedette_edge.topics import Area, Event, Picture, Topics
from vedette_edge.types import Frame, Image

__all__ = ["TamperGuard"]

_EVERYWHERE = Area(x=0.0, y=0.0, w=1.0, h=1.0)


class TamperGuard:
    """Guards one camera; see `pipeline.Stage`."""

    def __init__(
        self,
        detector: TamperDetector,
        *,
        topics: Topics,
        camera: str,
        boot: str,
        next_seq: Callable[[], int],
        new_id: Callable[[], str],
        encode: Callable[[Image], bytes],
        now: Callable[[], float] = time.time,
    ) -> None:
        """Tell what a detector finds.

        Args:
            detector: of this camera.
            topics: of the node.
            camera: its identifier.
            boot: names this run of the agent.
            next_seq: gives the next number of this boot's events.
            new_id: gives a new ULID.
            encode: makes a JPEG that may leave the device of a picture (H, W, 3) uint8, BGR.
            now: Unix time, seconds; asked when the stream begins, and when it restarts.
        """
        self._detector = detector
        self._topics = topics
        self._camera = camera
        self._boot = boot
        self._next_seq = next_seq
        self._new_id = new_id
        self._encode = encode
        self._now = now
        self._origin = 0.0
        self._last: float | None = None
        self._active: dict[Kind, Event] = {}

    def push(self, frame: Frame, captured: float | None = None) -> list[Message]:
        """Take the next frame; return the messages it leads to."""
        changes = self._detector.push(frame)
        # What ended because the stream restarted, ended in the time of the stream before.
        messages = [self._end(change, captured) for change in changes if not change.began]
        if self._last is None or frame.time < self._last:
            self._origin = self._now() - frame.time
        self._last = frame.time
        for change in changes:
            if change.began:
                messages += self._begin(change, frame, captured)
        return messages

    def finish(self) -> list[Message]:
        """End the stream; return its last messages."""
        return [self._end(change, None) for change in self._detector.finish()]

    def _begin(self, change: TamperChange, frame: Frame, captured: float | None) -> list[Message]:
        label = f"tamper-{change.kind}"
        jpeg = self._encode(self._captioned(frame, label))
        event = Event(
            type="new",
            kind="tamper",
            id=self._new_id(),
            seq=self._next_seq(),
            boot=self._boot,
            camera=self._camera,
            label=label,
            score=1.0,
            top_score=1.0,
            start_time=round(self._origin + change.since, 3),
            frame_time=round(self._origin + frame.time, 3),
            position=round(frame.time, 3),
            start_position=round(change.since, 3),
            area=_EVERYWHERE,
            hottest=(0.5, 0.5),
            picture=_describe(jpeg),
            model_sha256="",
        )
        self._active[change.kind] = event
        picture = Message(
            self._topics.heatmap(self._camera),
            jpeg,
            retain=True,
            content_type="image/jpeg",
            properties=(("from", self._topics.node), ("model", ""), ("seq", str(event.seq))),
            captured=captured,
        )
        return [picture, self._message(event, captured)]

    def _end(self, change: TamperChange, captured: float | None) -> Message:
        began = self._active.pop(change.kind)
        ended = {
            "type": "end",
            "seq": self._next_seq(),
            "score": 0.0,
            "end_time": round(self._origin + change.time, 3),
            "end_position": round(change.time, 3),
        }
        return self._message(began.model_copy(update=ended), captured)

    def _message(self, event: Event, captured: float | None) -> Message:
        return Message(self._topics.events(self._camera), event.model_dump_json().encode(), captured=captured)

    def _captioned(self, frame: Frame, label: str) -> Image:
        image = frame.image.copy()
        when = datetime.fromtimestamp(self._origin + frame.time).astimezone()
        draw_banner(image, label, f"{self._camera}  {when:%Y-%m-%d %H:%M:%S}")
        return image


def _describe(jpeg: bytes) -> Picture:
    # The size is read from the result: encoding may have made the picture smaller.
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    height, width = image.shape[:2]
    return Picture(sha256=hashlib.sha256(jpeg).hexdigest(), bytes=len(jpeg), width=width, height=height)
