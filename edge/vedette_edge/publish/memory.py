"""The in-memory twin of the outbox, for tests and evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from vedette_edge.publish.base import Message

__all__ = ["MemorySink"]


class MemorySink:
    """Keeps messages in a list."""

    def __init__(self) -> None:
        """Begin empty."""
        self.messages: list[Message] = []

    def put(self, messages: Sequence[Message]) -> None:
        """Append all of `messages`."""
        self.messages.extend(messages)
