from __future__ import annotations

import socket
import threading

import pytest
from edge_helpers import MOSQUITTO, free_port, mosquitto

from vedette_edge.operation.doctor import broker as module
from vedette_edge.operation.doctor.broker import broker, broker_in_use
from vedette_edge.operation.status import BrokerState
from vedette_edge.publish.wire import Broker
from vedette_edge.topics import Topics

TOPICS = Topics("hall", "node-1")
needs_mosquitto = pytest.mark.skipif(not MOSQUITTO.exists(), reason=f"Mosquitto is not at {MOSQUITTO}")


def check(port, host="127.0.0.1", **changes):
    return list(broker(Broker(host, port, **changes), TOPICS))


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_broker_that_takes_our_messages_is_well(broker_port, protocol):
    accepts, takes = check(broker_port, protocol=protocol)
    assert (accepts.level, takes.level) == ("ok", "ok")
    assert ("as far as" in takes.text) == (protocol == "3.1.1")


def test_a_name_without_an_address_is_told():
    (finding,) = check(1883, host="no.such.invalid")
    assert finding.level == "fail"
    assert "'no.such.invalid' has no address" in finding.text


def test_a_port_where_nothing_listens_is_told():
    (finding,) = check(free_port())
    assert "cannot be reached (Connection refused)" in finding.text


@needs_mosquitto
def test_a_broker_that_refuses_the_login_is_told(tmp_path):
    port = free_port()
    with mosquitto(tmp_path, port, "allow_anonymous false"):
        (finding,) = check(port)
    assert finding.level == "fail"
    assert "Not authorized" in finding.text


@needs_mosquitto
def test_a_broker_that_refuses_our_topics_is_told(tmp_path):
    (tmp_path / "acl").write_text("topic write elsewhere/#\n")
    port = free_port()
    with mosquitto(tmp_path, port, f"allow_anonymous true\nacl_file {tmp_path / 'acl'}"):
        accepts, refuses = check(port)
    assert (accepts.level, refuses.level) == ("ok", "fail")
    assert "let this node write vedette/v1/hall/node-1/#" in refuses.remedy


def test_something_that_is_no_broker_is_told(monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            listener.accept()[0].close()
            listener.accept()[0].close()

        threading.Thread(target=answer, daemon=True).start()
        (finding,) = check(listener.getsockname()[1])
    assert finding.level == "fail"


def test_of_a_running_agent_its_word_counts():
    assert broker_in_use(BrokerState(address="a:1", connected=True)).level == "ok"
    assert broker_in_use(BrokerState(address="a:1", connected=False)).level == "fail"
