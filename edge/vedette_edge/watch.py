"""The control room in a terminal: subscribes to alerts, prints each, keeps their pictures.

`Reader` is pure: messages in, records out. `watch` connects it to a broker and to an output.
"""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vedette_edge.errors import BrokerError, DataError
from vedette_edge.pictures import Pairing, save_picture
from vedette_edge.publish.wire import Broker, Closed, Opened, Received, Wire
from vedette_edge.records import Record, event_record, kind_of, noise_record, picture_record, plain_record
from vedette_edge.topics import Event, Topics, parse_event

__all__ = ["Ending", "Reader", "Record", "watch"]

_ANSWER = 5.0  # seconds for the broker to answer
_RETRY = 0.1  # seconds between two attempts to reach it
_LOOK = 0.1  # seconds
_SEEN = 10_000


@dataclass(frozen=True, slots=True)
class Ending:
    """When to end; each that is given ends the watch.

    Attributes:
        count: after so many events.
        idle: after so many seconds without a message.
        disconnect: when a node announces `disconnected`.
        timeout: after so many seconds; a failure when one of the others was asked for.
    """

    count: int | None = None
    idle: float | None = None
    disconnect: bool = False
    timeout: float | None = None


@dataclass(slots=True)
class Reader:
    """Understands messages; drops events that came before.

    Attributes:
        save: directory for the pictures, or None.
    """

    save: Path | None = None
    _pictures: Pairing = field(default_factory=Pairing)
    _waiting: dict[str, tuple[str, int]] = field(default_factory=dict)
    _seen: dict[tuple[str, int], None] = field(default_factory=dict)

    def read(self, topic: str, payload: bytes) -> list[Record]:
        """Return what a message says: nothing for a duplicate, or for a picture that waits for its event.

        Raises:
            DataError: when a picture cannot be saved.
        """
        kind = kind_of(topic)
        if kind in ("heatmap", "snapshot"):
            return self._read_picture(topic, payload)
        if kind == "events":
            return self._read_event(topic, payload)
        try:
            return [plain_record(topic, payload)]
        except (ValueError, DataError) as error:
            return [noise_record(topic, error)]

    def rest(self) -> list[Record]:
        """Return the pictures whose events never came."""
        left = [picture_record(topic, digest, size, None) for digest, (topic, size) in self._waiting.items()]
        self._waiting.clear()
        return left

    def _read_picture(self, topic: str, payload: bytes) -> list[Record]:
        digest = self._pictures.add(payload)
        if self.save is None or kind_of(topic) == "snapshot":
            return [picture_record(topic, digest, len(payload), None)]
        self._waiting[digest] = (topic, len(payload))
        return []

    def _read_event(self, topic: str, payload: bytes) -> list[Record]:
        try:
            event = parse_event(payload)
        except DataError as error:
            return [noise_record(topic, error)]
        if (event.boot, event.seq) in self._seen:
            return []
        self._seen[event.boot, event.seq] = None
        if len(self._seen) > _SEEN:
            del self._seen[next(iter(self._seen))]
        picture = self._pictures.of(event)
        return [*self._saved(event, picture), event_record(topic, payload, event, picture)]

    def _saved(self, event: Event, picture: bytes | None) -> list[Record]:
        if self.save is None or picture is None or event.picture is None:
            return []
        waiting = self._waiting.pop(event.picture.sha256, None)
        if waiting is None:  # an `end` names a picture that was saved with an earlier message
            return []
        try:
            path = save_picture(self.save, event, picture)
        except OSError as error:
            raise DataError(f"cannot save pictures in {self.save}: {error.strerror}") from error
        return [picture_record(waiting[0], event.picture.sha256, waiting[1], path)]


def watch(
    broker: Broker,
    topics: Topics,
    reader: Reader,
    show: Callable[[Record], None],
    ending: Ending,
    *,
    patience: float = 5.0,
) -> None:
    """Show what nodes say until `ending`.

    Args:
        broker: where to listen.
        topics: of one node, or of many with `+` for site or node.
        reader: understands the messages.
        show: takes each record.
        ending: when to end.
        patience: seconds to wait for a broker that is not there yet.

    Raises:
        BrokerError: when the broker cannot be reached, refuses us, or goes away.
        DataError: when `ending.timeout` passes before what was waited for, or a picture cannot be saved.
    """
    wire = _connect(broker, patience)
    try:
        wire.subscribe(*_watched(topics))
        for record in _records(wire, reader, ending):
            show(record)
    finally:
        wire.close()


def _watched(topics: Topics) -> list[str]:
    """Return what to subscribe to: all that a node says but its counts, which its events say better."""
    of_cameras = (topics.status, topics.events, topics.heatmap, topics.snapshot)
    of_node = (
        topics.state,
        topics.birth,
        topics.metrics,
        topics.gap,
        topics.governor,
        topics.config_report,
        topics.ota_report,
        topics.response("+"),
    )
    return [*of_node, *(topic("+") for topic in of_cameras)]


def _records(wire: Wire, reader: Reader, ending: Ending) -> Iterator[Record]:
    began = heard = time.monotonic()
    events = 0
    while True:
        received = _receive(wire)
        now = time.monotonic()
        records = reader.read(received.topic, received.payload) if received else []
        yield from records
        events += sum(record.kind == "event" for record in records)
        heard = now if received else heard
        # A retained state tells of the past; only one that is sent while we listen ends the watch.
        gone = bool(received) and not received.retained and _says_disconnected(records) if received else False
        idle = ending.idle is not None and now - heard >= ending.idle
        counted = ending.count is not None and events >= ending.count
        if idle or counted or (gone and ending.disconnect):
            break
        if ending.timeout is not None and now - began >= ending.timeout:
            yield from reader.rest()
            _check_nothing_was_missed(ending, events)
            return
    yield from reader.rest()


def _receive(wire: Wire) -> Received | None:
    with contextlib.suppress(queue.Empty):
        event = wire.happened.get(timeout=_LOOK)
        if isinstance(event, Closed):
            raise BrokerError(event.reason)
        if isinstance(event, Received):
            return event
    return None


def _check_nothing_was_missed(ending: Ending, events: int) -> None:
    if ending.count is not None:
        raise DataError(f"{events} of {ending.count} events came within {ending.timeout:g} s")
    if ending.disconnect:
        raise DataError(f"no node announced 'disconnected' within {ending.timeout:g} s")


def _connect(broker: Broker, patience: float) -> Wire:
    until = time.monotonic() + patience
    while True:
        wire = Wire(broker, client_id="")
        try:
            wire.open()
            break
        except BrokerError:
            if time.monotonic() >= until:
                raise
            time.sleep(_RETRY)
    try:
        event = wire.happened.get(timeout=_ANSWER)
    except queue.Empty:
        event = Closed(f"the MQTT broker at {broker} does not answer")
    if not isinstance(event, Opened):
        wire.close()
        raise BrokerError(event.reason if isinstance(event, Closed) else "no answer")
    return wire


def _says_disconnected(records: list[Record]) -> bool:
    return any(
        record.kind == "state" and record.data["payload"]["state"] == "disconnected" for record in records
    )
