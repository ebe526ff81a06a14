"""What is sent, and what takes it: a value and a one-method interface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = ["JSON", "Message", "MessageSink"]

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message.

    Attributes:
        topic: where it goes.
        payload: its bytes.
        qos: 0 (may be lost) or 1 (at least once).
        retain: whether the broker keeps it for later subscribers.
        content_type: MIME type; told to the broker with MQTT 5.
        properties: MQTT 5 user properties, (name, value).
        captured: `time.monotonic()` at which the frame that led to it was captured, or None.
    """

    topic: str
    payload: bytes
    qos: Literal[0, 1] = 1
    retain: bool = False
    content_type: str = JSON
    properties: tuple[tuple[str, str], ...] = ()
    captured: float | None = None


class MessageSink(Protocol):
    """Takes messages and answers for them."""

    def put(self, messages: Sequence[Message]) -> None:
        """Keep all of `messages`, in order, or none; on return they survive a crash.

        Raises:
            OutboxError: when they cannot be kept.
        """
        ...
