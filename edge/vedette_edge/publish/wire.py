"""One connection to a broker, by paho-mqtt. Its callbacks only put what happened into a queue.

paho runs callbacks in its own thread, and an exception in one can end that thread: so they hold no logic,
and the end of that thread, whatever ended it, is a `Closed`. Whoever owns the connection reads the queue.
A lost `Wire` is thrown away, and what was not acknowledged is sent again by the next one.

With a will and MQTT 5, the broker keeps the session for a minute and the will for ten seconds: a node that
is back by then was never `lost`, and commands sent meanwhile reach it.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from vedette_edge.errors import BrokerError
from vedette_edge.publish.address import Broker, Protocol, Tls, refusal, set_credentials, text_of
from vedette_edge.publish.base import Message
from vedette_edge.publish.happenings import (
    NO_EXCHANGE,
    Acknowledged,
    Closed,
    Exchange,
    Opened,
    Received,
    WireEvent,
)

__all__ = [
    "NO_EXCHANGE",
    "Acknowledged",
    "Broker",
    "Closed",
    "Exchange",
    "Opened",
    "Received",
    "Tls",
    "Wire",
    "WireEvent",
]

_VERSIONS: dict[Protocol, MQTTProtocolVersion] = {
    "5": MQTTProtocolVersion.MQTTv5,
    "3.1.1": MQTTProtocolVersion.MQTTv311,
}
_CONNECT_TIMEOUT = 5.0  # seconds
_SESSION = 60  # seconds for which the broker keeps what a node with a will subscribed to
_CLOSING = 1.0  # seconds for the farewell to leave; a broker that takes nothing is then cut off
_FAILURE = 128  # reason codes from here on are failures (MQTT 5, section 2.4)


class _Client(paho.Client):
    """paho's client, whose thread tells when it ends, whatever ended it."""

    on_ended: Callable[[], None] | None = None

    def loop_forever(self, timeout: float = 1.0, retry_first_connection: bool = False) -> MQTTErrorCode:
        try:
            return super().loop_forever(timeout, retry_first_connection)
        finally:
            if self.on_ended is not None:
                self.on_ended()


class Wire:
    """A connection that is used once."""

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        will: Message | None = None,
        *,
        will_delay: int = 10,
        max_packet: int | None = None,
    ) -> None:
        """Prepare; nothing is sent before `open`.

        Args:
            broker: where to connect.
            client_id: names this client to the broker; "" lets the broker choose.
            will: what the broker says for us when we are gone without a farewell.
            will_delay: seconds that it waits with that; MQTT 5 only.
            max_packet: bytes of the largest message that we take; MQTT 5 only.

        Raises:
            ConfigError: when the password or a TLS file cannot be used.
        """
        self.happened: queue.SimpleQueue[WireEvent | None] = queue.SimpleQueue()
        self._broker = broker
        self._answered = self._opened = False
        self._ended = threading.Event()
        self._resumes = will is not None
        self._max_packet = max_packet
        self._client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if self._version5 else True,
            protocol=_VERSIONS[broker.protocol],
            reconnect_on_failure=False,
        )
        self._client.connect_timeout = _CONNECT_TIMEOUT
        self._client.suppress_exceptions = True
        if will is not None:
            properties = self._properties(will, PacketTypes.WILLMESSAGE)
            if properties is not None:
                properties.WillDelayInterval = will_delay
            self._client.will_set(will.topic, will.payload, will.qos, will.retain, properties)
        set_credentials(self._client, broker)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message
        self._client.on_ended = self._on_ended

    def open(self) -> None:
        """Connect, and start paho's thread; then `happened` tells `Opened` or `Closed`.

        Raises:
            BrokerError: when nothing answers there.
        """
        try:
            self._connect()
        except ssl.SSLError as error:
            raise BrokerError(
                f"no TLS connection to the MQTT broker at {self._broker} ({error}); check mqtt.tls.ca_file, "
                "the broker's certificate, and that this port speaks TLS"
            ) from error
        except (OSError, ValueError) as error:
            raise BrokerError(f"cannot reach the MQTT broker at {self._broker} ({text_of(error)})") from error
        self._opened = True
        self._client.loop_start()

    def send(self, message: Message, exchange: Exchange = NO_EXCHANGE) -> int:
        """Send a message; its `Acknowledged` will carry the number that is returned."""
        properties = self._properties(message, PacketTypes.PUBLISH)
        if properties is not None:
            _add_exchange(properties, exchange)
        return self._client.publish(
            message.topic, message.payload, message.qos, message.retain, properties
        ).mid

    def subscribe(self, *filters: str) -> None:
        """Ask for the topics that match, at QoS 1."""
        self._client.subscribe([(one, 1) for one in filters])

    def close(self) -> None:
        """Say farewell, so that the will is not sent, and end paho's thread."""
        self._client.disconnect()
        if self._opened and not self._ended.wait(_CLOSING):
            self._cut_off()
        self._client.loop_stop()
        # The callbacks hold us and we hold the client: without the cycle its sockets close right away.
        self._client.on_connect = self._client.on_disconnect = None
        self._client.on_publish = self._client.on_message = None
        self._client.on_ended = None

    @property
    def _version5(self) -> bool:
        return self._broker.protocol == "5"

    def _connect(self) -> None:
        host, port, keepalive = self._broker.host, self._broker.port, self._broker.keepalive
        if not self._version5:
            self._client.connect(host, port, keepalive)
            return
        properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's own
        if self._resumes:
            properties.SessionExpiryInterval = _SESSION
        if self._max_packet is not None:
            properties.MaximumPacketSize = self._max_packet
        self._client.connect(host, port, keepalive, clean_start=not self._resumes, properties=properties)

    def _cut_off(self) -> None:
        channel = self._client.socket()
        if isinstance(channel, socket.socket):  # of TLS, too
            with contextlib.suppress(OSError):
                channel.shutdown(socket.SHUT_RDWR)

    def _properties(self, message: Message, packet: int) -> Any:
        if not self._version5:
            return None
        properties: Any = Properties(packet)  # type: ignore[no-untyped-call]  # paho sets by attribute
        properties.ContentType = message.content_type
        if message.properties:
            properties.UserProperty = list(message.properties)
        return properties

    def _on_connect(
        self, _client: object, _data: object, _flags: object, code: ReasonCode, _properties: object
    ) -> None:
        self._answered = True
        self.happened.put(Closed(refusal(self._broker, str(code))) if code.is_failure else Opened())

    def _on_disconnect(
        self, _client: object, _data: object, _flags: object, code: ReasonCode, _properties: object
    ) -> None:
        if self._answered:
            reason = f"the connection to the MQTT broker at {self._broker} is gone ({code})"
        else:
            reason = refusal(self._broker, "closed without an answer")
        self.happened.put(Closed(reason))

    def _on_publish(
        self, _client: object, _data: object, number: int, code: ReasonCode, _properties: object
    ) -> None:
        self.happened.put(Acknowledged(number, str(code) if code.value >= _FAILURE else ""))

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        exchange = _exchange_of(message.properties)
        self.happened.put(Received(message.topic, bytes(message.payload), message.retain, exchange))

    def _on_ended(self) -> None:
        self._ended.set()
        self.happened.put(Closed(f"the connection to the MQTT broker at {self._broker} has ended"))


def _add_exchange(properties: Any, exchange: Exchange) -> None:
    if exchange.response_topic:
        properties.ResponseTopic = exchange.response_topic
    if exchange.correlation:
        properties.CorrelationData = exchange.correlation
    if exchange.expiry is not None:
        properties.MessageExpiryInterval = exchange.expiry


def _exchange_of(properties: Properties | None) -> Exchange:
    return Exchange(
        getattr(properties, "ResponseTopic", ""),
        getattr(properties, "CorrelationData", b""),
        getattr(properties, "MessageExpiryInterval", None),
    )
