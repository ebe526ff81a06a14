"""The control room's connection to the broker."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator

from vedette_converters.release.reports import topics_of_interest
from vedette_edge.broker import parse_address
from vedette_edge.errors import BrokerError
from vedette_edge.publish.base import Message
from vedette_edge.publish.wire import Broker, Closed, Opened, Received, Tls, Wire

__all__ = ["Broker", "MqttRoom", "Tls", "parse_address"]

_ANSWER = 10.0  # seconds for the broker to answer


class MqttRoom:
    """Hears what nodes say of their updates; use it as a context manager."""

    def __init__(self, broker: Broker, site: str = "+") -> None:
        """Prepare to listen to a site, or to all of them.

        Raises:
            ConfigError: when the password or a TLS file cannot be used.
        """
        self._broker, self._site = broker, site
        self._wire = Wire(broker, client_id="")

    def __enter__(self) -> MqttRoom:
        """Connect and subscribe.

        Raises:
            BrokerError: when the broker cannot be reached, or refuses us.
        """
        self._wire.open()
        until = time.monotonic() + _ANSWER
        while (left := until - time.monotonic()) > 0:
            try:
                event = self._wire.happened.get(timeout=left)
            except queue.Empty:
                break
            if isinstance(event, Opened):
                self._wire.subscribe(*topics_of_interest(self._site))
                return self
            if isinstance(event, Closed):
                self._wire.close()
                raise BrokerError(event.reason)
        self._wire.close()
        raise BrokerError(f"the MQTT broker at {self._broker} does not answer")

    def __exit__(self, *_: object) -> None:
        """Leave."""
        self._wire.close()

    def heard(self) -> Iterator[tuple[str, bytes]]:
        """Yield what came since the last call.

        Raises:
            BrokerError: when the connection is lost.
        """
        while True:
            try:
                event = self._wire.happened.get_nowait()
            except queue.Empty:
                return
            if isinstance(event, Closed):
                raise BrokerError(event.reason)
            if isinstance(event, Received):
                yield event.topic, event.payload

    def say(self, topic: str, payload: bytes) -> None:
        """Send a message that the broker retains."""
        self._wire.send(Message(topic, payload, qos=1, retain=True))
