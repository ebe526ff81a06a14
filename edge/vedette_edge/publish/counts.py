"""How many events go on, by camera and label: a retained number, for subscribers that only want that."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from vedette_edge.publish.base import JSON, Message, MessageSink
from vedette_edge.topics import Event, Topics

__all__ = ["ActiveCounts", "CountingSink"]


class ActiveCounts:
    """The events that go on. From any thread."""

    def __init__(self, topics: Topics) -> None:
        """Begin with none; `topics` are those of the node."""
        self._topics = topics
        self._active: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    def zero(self, camera: str, labels: Iterable[str]) -> list[Message]:
        """Return the first word on each label of a camera: nothing goes on, whatever an earlier run left."""
        with self._lock:
            topics = [self._topics.count(camera, label) for label in labels]
            return [self._set(topic, set()) for topic in dict.fromkeys(topics)]

    def push(self, messages: Sequence[Message]) -> list[Message]:
        """Take messages on their way to the broker; return the numbers that they change."""
        with self._lock:
            return [
                changed
                for message in messages
                if message.content_type == JSON and message.topic.endswith("/events")
                for changed in self._take(Event.model_validate_json(message.payload))
            ]

    def _take(self, event: Event) -> list[Message]:
        topic = self._topics.count(event.camera, event.label)
        before = self._active.get(topic, set())
        after = before - {event.id} if event.type == "end" else before | {event.id}
        return [] if after == before else [self._set(topic, after)]

    def _set(self, topic: str, active: set[str]) -> Message:
        self._active[topic] = active
        return Message(topic, str(len(active)).encode(), qos=0, retain=True, content_type="text/plain")


class CountingSink:
    """A sink that announces the numbers after the messages that change them were kept."""

    def __init__(self, sink: MessageSink, counts: ActiveCounts, announce: Callable[[Message], None]) -> None:
        """Stand before `sink`."""
        self._sink = sink
        self._counts = counts
        self._announce = announce

    def put(self, messages: Sequence[Message]) -> None:
        """Keep all of `messages`, then announce.

        Raises:
            OutboxError: when they cannot be kept.
        """
        self._sink.put(messages)
        for message in self._counts.push(messages):
            self._announce(message)
