from __future__ import annotations

import queue
import time

import pytest
from edge_helpers import Listener, wait_until

from vedette_edge.publish.base import Message
from vedette_edge.publish.wire import Broker, Closed, Exchange, Opened, Received, Wire

WILL = Message("vedette/v1/s/n/state", b'{"state": "lost"}', retain=True)


def opened(port, protocol="5", client_id="", **changes):
    wire = Wire(Broker("127.0.0.1", port, protocol), client_id, **changes)
    wire.open()
    assert isinstance(wire.happened.get(timeout=5), Opened)
    return wire


def receive(wire, seconds=5.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            event = wire.happened.get(timeout=0.1)
        except queue.Empty:
            continue
        if isinstance(event, Received):
            return event
    return None


def subscribe(wire, topic):
    """Return once the broker passes messages on."""
    wire.subscribe(topic, "probe/+")
    wire.send(Message("probe/a", b""))
    assert receive(wire).topic == "probe/a"


def cut(wire):
    """End the connection as a power cut does: without a farewell."""
    wire._client.socket().close()
    wait_until(lambda: isinstance(wire.happened.get(timeout=5), Closed))


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_what_mqtt_5_says_of_a_question_arrives_with_mqtt_5_only(broker_port, protocol):
    asked, asking = opened(broker_port, protocol), opened(broker_port, protocol)
    subscribe(asked, "q")
    asking.send(Message("q", b"?"), Exchange("answers/here", b"\x00\x01", 30))
    received = receive(asked)
    expected = Exchange("answers/here", b"\x00\x01", 30) if protocol == "5" else Exchange()
    assert (received.payload, received.exchange) == (b"?", expected)
    asked.close()
    asking.close()


def test_a_node_that_is_back_in_time_was_never_lost(broker_port):
    with Listener(broker_port) as listener:
        cut(opened(broker_port, client_id="node", will=WILL, will_delay=2))
        again = opened(broker_port, client_id="node", will=WILL, will_delay=2)
        time.sleep(3)
        assert listener.of("state") == []
        cut(again)
        listener.wait_for("state", lambda state: state["state"] == "lost")


def test_commands_sent_during_a_short_absence_arrive(broker_port):
    node = opened(broker_port, client_id="node", will=WILL)
    subscribe(node, "cmd/+")
    cut(node)
    other = opened(broker_port)
    other.send(Message("cmd/a", b"1"))
    wait_until(lambda: not other.happened.empty())
    again = opened(broker_port, client_id="node", will=WILL)
    # Before it may come again what the node had no time to acknowledge.
    while (received := receive(again)).topic != "cmd/a":
        assert received.topic == "probe/a"
    again.close()
    other.close()


def test_what_is_too_large_to_take_does_not_come(broker_port):
    wire, other = opened(broker_port, max_packet=2000), opened(broker_port)
    subscribe(wire, "x")
    other.send(Message("x", b"\x00" * 3000))
    other.send(Message("x", b"small"))
    assert receive(wire).payload == b"small"
    wire.close()
    other.close()


def test_the_end_of_pahos_thread_is_told_whatever_ended_it(broker_port, monkeypatch):
    wire = opened(broker_port)
    monkeypatch.setattr(wire._client, "_loop", lambda *_: 1 / 0)
    # The exception ends the thread; that it is shown is paho's business.
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    wire.send(Message("x", b""))
    event = wire.happened.get(timeout=5)
    while not isinstance(event, Closed):
        event = wire.happened.get(timeout=5)
    assert "has ended" in event.reason
    wire.close()
