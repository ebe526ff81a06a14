from __future__ import annotations

import cv2
import numpy as np
from recording_helpers import TOPICS

from vedette_edge.events import PictureStyle
from vedette_edge.privacy import Clear
from vedette_edge.snapshot import LatestFrame
from vedette_edge.types import Frame

NOISE = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)


class Black:
    def redact(self, image):
        return np.zeros_like(image)


def latest(style=None, redactor=None):
    return LatestFrame(TOPICS, "door", style or PictureStyle(), redactor or Clear(), now=lambda: 1234.5678)


def decoded(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def test_before_the_first_frame_and_after_the_last_there_is_none():
    recorder = latest()
    assert recorder.encode() is None
    assert recorder.message() is None
    recorder.push(Frame(NOISE, 0.0), [])
    recorder.finish([])
    assert recorder.encode() is None


def test_it_is_the_latest_frame_within_the_bound():
    recorder = latest(PictureStyle(max_bytes=20_000))
    recorder.push(Frame(NOISE, 0.0), [])
    recorder.push(Frame(np.full((48, 64, 3), 77, np.uint8), 0.1), [])
    assert (decoded(recorder.encode()) == 77).all()
    recorder.push(Frame(NOISE, 0.2), [])
    assert len(recorder.encode()) <= 20_000


def test_it_is_redacted():
    recorder = latest(redactor=Black())
    recorder.push(Frame(NOISE, 0.0), [])
    assert not decoded(recorder.encode()).any()
    assert not decoded(recorder.message().payload).any()


def test_the_message_says_what_it_is_and_when_it_was():
    recorder = latest(PictureStyle(format="webp"))
    recorder.push(Frame(NOISE, 0.0), [])
    message = recorder.message()
    assert message.topic == "vedette/v1/hall/n1/cam/door/snapshot"
    assert (message.retain, message.content_type) == (False, "image/webp")
    assert dict(message.properties) == {"from": "n1", "time": "1234.568"}
    assert message.payload == recorder.encode()
