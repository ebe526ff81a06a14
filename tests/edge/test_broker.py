from __future__ import annotations

import socket
import sys

import pytest
from edge_helpers import Listener, free_port

from vedette_edge.broker import EmbeddedBroker, parse_address
from vedette_edge.errors import BrokerError, MissingExtraError, UsageError
from vedette_edge.publish.base import Message
from vedette_edge.publish.wire import Broker, Opened, Wire


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:1883", ("127.0.0.1", 1883)),
        ("[::1]:1", ("::1", 1)),
        ("b.example:65535", ("b.example", 65535)),
    ],
)
def test_an_address_is_host_and_port(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "1883", ":1883", "host", "host:", "host:0", "host:65536", "host:-1", "host:²"]
)
def test_anything_else_is_a_usage_error(text):
    with pytest.raises(UsageError, match="expected HOST:PORT"):
        parse_address(text)


@pytest.mark.parametrize("text", ["localhost:1", "127.1.2.3:1", "[::1]:1"])
def test_loopback_may_be_given_to_the_embedded_broker(text):
    parse_address(text, loopback=True)


@pytest.mark.parametrize("text", ["0.0.0.0:1", "192.168.0.1:1", "example.com:1"])
def test_nothing_else_may(text):
    with pytest.raises(UsageError, match="stays on loopback"):
        parse_address(text, loopback=True)


def test_it_passes_messages_on_and_frees_its_port():
    port = free_port()
    with EmbeddedBroker("127.0.0.1", port), Listener(port, "3.1.1") as listener:
        wire = Wire(Broker("127.0.0.1", port, "3.1.1"), "sender")
        wire.open()
        assert isinstance(wire.happened.get(timeout=5), Opened)
        wire.send(Message("vedette/v1/s/n/cam/c/heatmap", b"x" * 120_000, retain=True))
        wire.send(Message("vedette/v1/s/n/cam/c/events", b'{"n": 1}'))
        listener.wait_for("events")
        assert len(listener.of("heatmap")[0].payload) == 120_000
        wire.close()
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_a_port_that_is_taken_is_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with (
            pytest.raises(BrokerError, match=f"127.0.0.1:{port} is taken"),
            EmbeddedBroker("127.0.0.1", port),
        ):
            pass


def test_without_amqtt_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "amqtt.broker", None)
    monkeypatch.setitem(sys.modules, "amqtt", None)
    with pytest.raises(MissingExtraError, match=r"vedette\[demo\]"), EmbeddedBroker("127.0.0.1", 1):
        pass
