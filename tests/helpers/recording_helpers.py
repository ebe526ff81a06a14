"""Events and messages as the recorders see them."""

from __future__ import annotations

from vedette_edge.ids import ulid
from vedette_edge.publish.base import Message
from vedette_edge.topics import Event, Topics

TOPICS = Topics("hall", "n1")
ORIGIN = 1_700_000_000.0


def event(kind, number=1, *, start=0.0, end=None, label="fight", picture=None):
    """Return an event of camera `door`; `start` and `end` are seconds of the stream."""
    return Event(
        type=kind,
        id=ulid(number, bytes(10)),
        seq=number + 1,
        boot="b",
        camera="door",
        label=label,
        score=0.9,
        top_score=0.95,
        start_time=ORIGIN + start,
        end_time=None if end is None else ORIGIN + end,
        frame_time=ORIGIN + start,
        position=start,
        start_position=start,
        end_position=end,
        area={"x": 0, "y": 0, "w": 1, "h": 1},
        hottest=(0.5, 0.5),
        model_sha256="0" * 64,
        picture=picture,
    )


def message(told):
    """Return the message of an event."""
    return Message(TOPICS.events("door"), told.model_dump_json().encode())
