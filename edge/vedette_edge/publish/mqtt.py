"""The link to the broker: connects, announces, drains the outbox, comes back after every loss.

The rules, in order:

1. Before it connects it leaves a will: `lost`, retained, with the number of this connection. That number
   rises with every connection and is kept on disk, so a late will never outdoes a newer birth.
2. Connected, it says `birth`, `ready` and each camera's status, all retained, then drains the outbox: at
   most 20 messages are under way, and one leaves the store only when the broker has acknowledged it.
3. After a loss it waits a random time (full jitter) below a bound that doubles from 1 to 60 seconds.
4. A refusal or loss is one line in the log, and so is the return.

An absent broker is never an error here: the agent goes on watching, and the outbox keeps the messages.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vedette_edge.backoff import backoff
from vedette_edge.errors import BrokerError, VedetteError
from vedette_edge.files import write_atomically
from vedette_edge.health import Heartbeat
from vedette_edge.metrics import Durations
from vedette_edge.publish.announce import Announcer
from vedette_edge.publish.base import Message
from vedette_edge.publish.outbox import Outbox, Stored
from vedette_edge.publish.wire import Acknowledged, Broker, Closed, Opened, Wire, WireEvent

__all__ = ["MqttLink", "Sessions"]

_log = logging.getLogger(__name__)

_UNDER_WAY = 20
_BEAT = 0.5  # seconds
_ANSWER = 10.0  # seconds that a broker may take to answer
_FAREWELL = 2.0  # seconds that it may take to acknowledge the last message


class Sessions:
    """Numbers the connections of a node, across restarts."""

    def __init__(self, path: Path) -> None:
        """Keep the last number in the file at `path`."""
        self._path = path
        try:
            self._last = int(path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            # Lost with its file: the clock is higher than any count of connections.
            self._last = int(time.time()) if path.exists() else 0

    def next(self) -> int:
        """Return a number above all before. A disk that refuses is logged: the link matters more."""
        self._last += 1
        try:
            write_atomically(self._path, str(self._last).encode())
        except OSError as error:
            _log.warning("cannot keep the session number in %s: %s", self._path, error)
        return self._last


@dataclass(slots=True)
class _Connection:
    """The state of one connection."""

    wire: Wire
    session: int
    last_taken: int = 0
    stored: dict[int, Stored] = field(default_factory=dict)
    announced: set[int] = field(default_factory=set)


class MqttLink:
    """Sends what the outbox holds, in a thread of its own. `put` is the agent's way in."""

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        outbox: Outbox,
        announcer: Announcer,
        sessions: Sessions,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Prepare; nothing is sent before `start`.

        Raises:
            ConfigError: when the password or a TLS file cannot be used.
        """
        Wire(broker, client_id)  # a wrong file ends the start, not the first connection
        self._broker = broker
        self._client_id = client_id
        self._outbox = outbox
        self._announcer = announcer
        self._sessions = sessions
        self._jitter = jitter
        self._retained: dict[str, Message] = {}
        self._lock = threading.Lock()
        self._connection: _Connection | None = None
        self._happened: queue.SimpleQueue[WireEvent | None] | None = None
        self._stopping = threading.Event()
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="mqtt-link", daemon=True)
        self.heartbeat = Heartbeat("mqtt-link")
        self.latency = Durations()
        self.error: Exception | None = None

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us, and our birth was sent."""
        return self._connection is not None

    @property
    def tried(self) -> bool:
        """Whether the broker answered, or an attempt to reach it has failed."""
        return self.connected or self._failures > 0

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def put(self, messages: Sequence[Message]) -> None:
        """Keep messages in the outbox, then have them sent.

        Raises:
            OutboxError: when they cannot be kept.
        """
        self._outbox.put(messages)
        self._wake()

    def announce(self, message: Message) -> None:
        """Say what is now, and again at each connection; only the latest of a topic counts."""
        with self._lock:
            self._retained[message.topic] = message
            if self._connection is not None:
                self._connection.announced.add(self._connection.wire.send(message))

    def tell(self, message: Message) -> None:
        """Send a message that may be lost, if there is a connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.wire.send(message)

    def close(self) -> None:
        """Say `disconnected`, say farewell, and end the thread."""
        self._stopping.set()
        self._wake()
        if self._thread.ident is not None:
            self._thread.join(_ANSWER + _FAREWELL)

    def _wake(self) -> None:
        happened = self._happened
        if happened is not None:
            happened.put(None)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._attempt()
        except Exception as error:
            _log.error("mqtt: %s", error, exc_info=not isinstance(error, VedetteError))
            self.error = error
        finally:
            self.heartbeat.retire()

    def _attempt(self) -> None:
        session = self._sessions.next()
        wire = Wire(self._broker, self._client_id, will=self._announcer.state("lost", session))
        self._happened = wire.happened
        try:
            wire.open()
            self._await_answer(wire)
            self._failures = 0
            self._serve(wire, session)
        except BrokerError as error:
            self._rest(error)
        finally:
            with self._lock:
                self._connection = None
            wire.close()

    def _rest(self, error: BrokerError) -> None:
        if self._failures == 0 and not self._stopping.is_set():
            _log.warning("%s; watching goes on, messages are kept and the connection is tried again", error)
        seconds = backoff(self._failures, self._jitter())
        self._failures += 1
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._stopping.is_set():
            self.heartbeat.beat()
            self._stopping.wait(min(left, _BEAT))

    def _await_answer(self, wire: Wire) -> None:
        until = time.monotonic() + _ANSWER
        while time.monotonic() < until and not self._stopping.is_set():
            event = self._next_event(wire)
            if isinstance(event, Opened):
                return
            if isinstance(event, Closed):
                raise BrokerError(event.reason)
        raise BrokerError(f"the MQTT broker at {self._broker} does not answer")

    def _serve(self, wire: Wire, session: int) -> None:
        connection = _Connection(wire, session)
        with self._lock:
            first = [self._announcer.birth(session), *self._retained.values()]
            for message in [*first, self._announcer.state("ready", session)]:
                connection.announced.add(wire.send(message))
            self._connection = connection
        _log.info("connected to the MQTT broker at %s", self._broker)
        while not self._stopping.is_set():
            self._fill(connection)
            self._handle(connection, self._next_event(wire))
        self._say_farewell(connection)

    def _fill(self, connection: _Connection) -> None:
        room = _UNDER_WAY - len(connection.stored)
        if room <= 0:
            return
        for stored in self._outbox.peek(room, after=connection.last_taken):
            connection.stored[connection.wire.send(stored.message)] = stored
            connection.last_taken = stored.id

    def _handle(self, connection: _Connection, event: WireEvent | None) -> None:
        """Take one event, and the acknowledgements that came with it, which are committed together."""
        delivered: list[int] = []
        while event is not None:
            if isinstance(event, Closed):
                self._outbox.acknowledge(delivered)
                raise BrokerError(event.reason)
            if isinstance(event, Acknowledged):
                delivered += self._settle(connection, event)
            event = connection.wire.happened.get() if not connection.wire.happened.empty() else None
        if delivered:
            self._outbox.acknowledge(delivered)

    def _settle(self, connection: _Connection, answer: Acknowledged) -> list[int]:
        connection.announced.discard(answer.number)
        stored = connection.stored.pop(answer.number, None)
        if answer.failure:
            topic = stored.message.topic if stored else "an announcement"
            _log.error("the MQTT broker at %s refuses %s: %s", self._broker, topic, answer.failure)
        if stored is None or answer.failure:
            return []
        if stored.message.captured is not None:
            self.latency.add(time.monotonic() - stored.message.captured)
        return [stored.id]

    def _say_farewell(self, connection: _Connection) -> None:
        with self._lock:
            self._connection = None
        last = connection.wire.send(self._announcer.state("disconnected", connection.session))
        connection.announced.add(last)
        until = time.monotonic() + _FAREWELL
        while last in connection.announced and time.monotonic() < until:
            self._handle(connection, self._next_event(connection.wire))

    def _next_event(self, wire: Wire) -> WireEvent | None:
        self.heartbeat.beat()
        try:
            return wire.happened.get(timeout=_BEAT)
        except queue.Empty:
            return None
