"""The control room in a terminal: subscribes to alerts, prints each, keeps their pictures.

`Reader` is pure: messages in, records out. `watch` connects it to a broker and to an output.
"""

from __future__ import annotations

import contextlib
import json
import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from vedette_edge.errors import BrokerError, DataError
from vedette_edge.pictures import Pairing, file_name, save_picture
from vedette_edge.publish.wire import Broker, Closed, Opened, Received, Wire
from vedette_edge.topics import Event, Metrics, NodeState, Topics, parse_event

__all__ = ["Ending", "Reader", "Record", "watch"]

_ANSWER = 5.0  # seconds for the broker to answer
_RETRY = 0.1  # seconds between two attempts to reach it
_LOOK = 0.1  # seconds
_SEEN = 10_000


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that happened.

    Attributes:
        kind: `event`, `picture`, `state`, `metrics`, or `noise` for what does not follow the contract.
        line: for people.
        data: for programs; JSON values only.
    """

    kind: str
    line: str
    data: dict[str, Any]


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
        kind = topic.rpartition("/")[2]
        if kind == "heatmap":
            return self._read_picture(topic, payload)
        if kind == "events":
            return self._read_event(topic, payload)
        try:
            return [_metrics(topic, payload) if kind == "metrics" else _state(topic, payload)]
        except ValueError as error:
            return [_noise(topic, error)]

    def rest(self) -> list[Record]:
        """Return the pictures whose events never came."""
        left = [_picture(topic, digest, size, None) for digest, (topic, size) in self._waiting.items()]
        self._waiting.clear()
        return left

    def _read_picture(self, topic: str, payload: bytes) -> list[Record]:
        digest = self._pictures.add(payload)
        if self.save is None:
            return [_picture(topic, digest, len(payload), None)]
        self._waiting[digest] = (topic, len(payload))
        return []

    def _read_event(self, topic: str, payload: bytes) -> list[Record]:
        try:
            event = parse_event(payload)
        except DataError as error:
            return [_noise(topic, error)]
        if (event.id, event.seq) in self._seen:
            return []
        self._seen[event.id, event.seq] = None
        if len(self._seen) > _SEEN:
            del self._seen[next(iter(self._seen))]
        picture = self._pictures.of(event)
        told = Record("event", _sentence(topic, event, picture), _raw(topic, payload))
        return [*self._saved(event, picture), told]

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
        return [_picture(waiting[0], event.picture.sha256, waiting[1], path)]


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
        wire.subscribe(topics.state, topics.metrics, topics.heatmap("+"), topics.events("+"))
        for record in _records(wire, reader, ending):
            show(record)
    finally:
        wire.close()


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


def _sentence(topic: str, event: Event, picture: bytes | None) -> str:
    site, node = topic.split("/")[2:4]
    when = event.end_time if event.end_time is not None else event.frame_time
    clock = datetime.fromtimestamp(when).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    x, y = event.hottest
    line = f"{clock}  {event.type:6} {site}/{node}/{event.camera}  {event.label} {event.score:.2f}"
    line += f"  at x={x:.2f} y={y:.2f}"
    if event.type == "end":
        line += f"  after {when - event.start_time:.1f} s, top {event.top_score:.2f}"
    elif event.picture is not None:
        line += f"  {file_name(event, picture or b'')}"
    return line + ("  (late)" if event.hist else "")


def _state(topic: str, payload: bytes) -> Record:
    state = NodeState.model_validate_json(payload)
    site, node = topic.split("/")[2:4]
    clock = datetime.fromtimestamp(state.ts).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return Record("state", f"{clock}  node   {site}/{node}  {state.state}", _raw(topic, payload))


def _noise(topic: str, error: Exception) -> Record:
    return Record("noise", f"{topic}: not understood: {error}", {"topic": topic, "error": str(error)})


def _metrics(topic: str, payload: bytes) -> Record:
    metrics = Metrics.model_validate_json(payload)
    site, node = topic.split("/")[2:4]
    clock = datetime.fromtimestamp(metrics.ts).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    line = (
        f"{clock}  health {site}/{node}  {metrics.windows} windows"
        f", inference p95 {metrics.inference_ms.p95:.1f} ms"
        f", capture to broker p95 {metrics.publish_ms.p95:.1f} ms"
        f", {metrics.dropped} frames dropped, {metrics.outbox} messages waiting"
    )
    return Record("metrics", line, _raw(topic, payload))


def _raw(topic: str, payload: bytes) -> dict[str, Any]:
    return {"topic": topic, "payload": json.loads(payload)}


def _picture(topic: str, digest: str, size: int, path: Path | None) -> Record:
    saved = str(path) if path is not None else None
    data = {"topic": topic, "sha256": digest, "bytes": size, "path": saved}
    return Record("picture", f"picture of {size} bytes" + (f": {saved}" if saved else ""), data)
