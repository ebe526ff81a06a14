"""The link to the broker: connects, announces, drains the outbox, listens, comes back after every loss.

The rules, in order:

1. Before it connects it leaves a will: `lost`, retained, with the number of this connection. That number
   rises with every connection and is kept on disk, so a late will never outdoes a newer birth.
2. Connected, it subscribes, says `birth`, what else is retained, and `ready` or `degraded`, then drains the
   outbox: what is new first, what waited through an absence of more than five seconds behind it, marked as
   late (see `drain`). A message leaves the store only when the broker has acknowledged it.
3. What it receives goes to the routes, which must not block. One that raises is one line in the log.
4. After a loss it waits a random time (full jitter) below a bound that doubles from 1 to 60 seconds.
5. A refusal or loss is one line in the log, and so is the return.

An absent broker is never an error here: the agent goes on watching, and the outbox keeps the messages.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Sequence

from vedette_edge.backoff import backoff
from vedette_edge.errors import BrokerError, VedetteError
from vedette_edge.health import Heartbeat
from vedette_edge.metrics import Durations
from vedette_edge.publish.announce import Announcer
from vedette_edge.publish.base import Message
from vedette_edge.publish.connection import Connection
from vedette_edge.publish.drain import Drain
from vedette_edge.publish.hosts import Hosts
from vedette_edge.publish.outbox import Outbox
from vedette_edge.publish.routes import Route, Routes
from vedette_edge.publish.sessions import Sessions
from vedette_edge.publish.wire import (
    NO_EXCHANGE,
    Acknowledged,
    Broker,
    Closed,
    Exchange,
    Opened,
    Received,
    Wire,
    WireEvent,
)

__all__ = ["MqttLink"]

_log = logging.getLogger(__name__)

_BEAT = 0.5  # seconds
_ANSWER = 10.0  # seconds that a broker may take to answer
_FAREWELL = 2.0  # seconds that it may take to acknowledge the last message
_LATE = 5.0  # seconds of absence after which what waited is late
_MOST_TAKEN = 65_536  # bytes of the largest message that is received


class MqttLink:
    """Sends what the outbox holds, in a thread of its own. `put` is the agent's way in."""

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        outbox: Outbox,
        announcer: Announcer,
        sessions: Sessions,
        *,
        routes: Sequence[Route] = (),
        late_per_second: float = 200.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Prepare; nothing is sent before `start`.

        Args:
            broker: where it is.
            client_id: names this node to the broker.
            outbox: keeps what is sent.
            announcer: writes what is said of the node.
            sessions: numbers the connections.
            routes: what to listen to.
            late_per_second: how many messages that waited go each second.
            jitter: a random number in 0..1.

        Raises:
            ConfigError: when the password or a TLS file cannot be used.
        """
        Wire(broker, client_id)  # a wrong file ends the start, not the first connection
        self._broker = broker
        self._client_id = client_id
        self._outbox = outbox
        self._announcer = announcer
        self._sessions = sessions
        self._drain = Drain(late_per_second)
        self._hosts = Hosts()
        self._routes = Routes([Route(announcer.topics.hosts, self._hosts.take), *routes])
        self._jitter = jitter
        self._retained: dict[str, Message] = {}
        self._troubles: dict[str, str] = {}
        self._later: list[tuple[float, int, Message]] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._happened: queue.SimpleQueue[WireEvent | None] | None = None
        self._stopping = threading.Event()
        self._failures = 0
        self._absent_since = time.monotonic()
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
        self._absent_since = time.monotonic()
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
                self._connection.send(message)

    def tell(self, message: Message, exchange: Exchange = NO_EXCHANGE) -> None:
        """Send a message that may be lost, if there is a connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.wire.send(message, exchange)

    def tell_later(self, seconds: float, message: Message) -> None:
        """Send a message that may be lost after so many seconds."""
        with self._lock:
            heapq.heappush(self._later, (time.monotonic() + seconds, next(self._numbers), message))

    def introduce(self) -> None:
        """Say `birth` again, after models or cameras have changed."""
        with self._lock:
            if self._connection is not None:
                self._connection.send(self._announcer.birth(self._connection.session))

    def report(self, part: str, trouble: str) -> None:
        """Say that a part of the agent is in trouble, or with "" that it is not any more.

        The node is `degraded` while one is, else `ready`.
        """
        with self._lock:
            if self._troubles.get(part, "") == trouble:
                return
            self._troubles.pop(part, None)
            if trouble:
                self._troubles[part] = trouble
            if self._connection is not None:
                self._connection.send(self._state(self._connection.session))

    def hurry(self) -> None:
        """Deliver what waits as fast as the broker takes it: the agent is about to end."""
        self._drain.hurry()
        self._wake()

    def close(self) -> None:
        """Say `disconnected`, say farewell, and end the thread."""
        self._stopping.set()
        self._wake()
        if self._thread.ident is not None:
            self._thread.join(_ANSWER + _FAREWELL)

    def _state(self, session: int) -> Message:
        reason = "; ".join(self._troubles.values())
        return self._announcer.state("degraded" if reason else "ready", session, reason)

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
        will = self._announcer.state("lost", session)
        wire = Wire(self._broker, self._client_id, will, max_packet=_MOST_TAKEN)
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
        if self._connection is not None:
            self._absent_since = time.monotonic()
            with self._lock:
                self._connection = None
        if self._failures == 0 and not self._stopping.is_set():
            _log.warning("%s; watching goes on, messages are kept and the connection is tried again", error)
        seconds = backoff(self._failures, self._jitter())
        self._failures += 1
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._stopping.is_set():
            self.heartbeat.beat()
            self._outbox.tend()
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
        self._outbox.rewind(late=time.monotonic() - self._absent_since > _LATE)
        connection = Connection(wire, session)
        wire.subscribe(*self._routes.filters)
        with self._lock:
            connection.send(self._announcer.birth(session))
            for message in [*self._retained.values(), self._state(session)]:
                connection.send(message)
            self._connection = connection
        _log.info("connected to the MQTT broker at %s", self._broker)
        while not self._stopping.is_set():
            self._tend()
            connection.fill(self._outbox, self._drain, time.monotonic(), heard=self._hosts.heard)
            self._handle(connection, self._next_event(wire))
        self._say_farewell(connection)

    def _tend(self) -> None:
        self._outbox.tend()
        self.report("outbox", self._outbox.trouble)
        while self._later and self._later[0][0] <= time.monotonic():
            with self._lock:
                _, _, message = heapq.heappop(self._later)
            self.tell(message)

    def _handle(self, connection: Connection, event: WireEvent | None) -> None:
        """Take one event, and those that came with it; acknowledgements are committed together."""
        delivered: list[int] = []
        while event is not None:
            if isinstance(event, Closed):
                self._outbox.acknowledge(delivered)
                raise BrokerError(event.reason)
            if isinstance(event, Acknowledged):
                delivered += self._settle(connection, event)
            if isinstance(event, Received):
                self._routes.pass_on(event)
            event = connection.wire.happened.get() if not connection.wire.happened.empty() else None
        if delivered:
            self._outbox.acknowledge(delivered)

    def _settle(self, connection: Connection, answer: Acknowledged) -> list[int]:
        settled = connection.settle(answer)
        if answer.failure:
            topic = settled.message.topic if settled else "an announcement"
            _log.error("the MQTT broker at %s refuses %s: %s", self._broker, topic, answer.failure)
        if settled is None or answer.failure:
            return []
        if settled.message.captured is not None:
            self.latency.add(time.monotonic() - settled.message.captured)
        return [settled.id]

    def _say_farewell(self, connection: Connection) -> None:
        with self._lock:
            self._connection = None
        last = connection.send(self._announcer.state("disconnected", connection.session))
        until = time.monotonic() + _FAREWELL
        while last in connection.announced and time.monotonic() < until:
            self._handle(connection, self._next_event(connection.wire))

    def _next_event(self, wire: Wire) -> WireEvent | None:
        self.heartbeat.beat()
        try:
            return wire.happened.get(timeout=_BEAT)
        except queue.Empty:
            return None
