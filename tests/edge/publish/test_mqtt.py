from __future__ import annotations

import itertools
import json
import logging
import queue
import socket
import ssl
import threading
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from edge_helpers import MOSQUITTO, Listener, free_port, mosquitto, wait_until

from vedette_edge.broker import EmbeddedBroker
from vedette_edge.errors import BrokerError, ConfigError, OutboxError
from vedette_edge.publish.announce import Announcer, Description
from vedette_edge.publish.base import Message
from vedette_edge.publish.mqtt import MqttLink
from vedette_edge.publish.outbox import Outbox
from vedette_edge.publish.routes import Route
from vedette_edge.publish.sessions import Sessions
from vedette_edge.publish.wire import Broker, Closed, Tls, Wire
from vedette_edge.topics import BirthCamera, Topics

TOPICS = Topics("hall", "n1")


def event(number):
    return Message(TOPICS.events("door"), json.dumps({"n": number, "hist": False}).encode(), captured=0.0)


@pytest.fixture
def outbox(tmp_path):
    outbox = Outbox(tmp_path / "outbox.db", gap_topic=TOPICS.gap)
    yield outbox
    outbox.close()


@pytest.fixture
def make_link(tmp_path, outbox):
    links = []

    def make(port, protocol="5", routes=(), rate=200.0, **broker):
        cameras = []

        def describe():
            return Description((), tuple(BirthCamera(id=name, source="file") for name in cameras))

        announcer = Announcer(TOPICS, "boot", describe, lambda: 1.0)
        link = MqttLink(
            Broker("127.0.0.1", port, protocol, **broker),
            "node",
            outbox,
            announcer,
            Sessions(tmp_path / "session"),
            routes=routes,
            late_per_second=rate,
            jitter=lambda: 0.05,
        )
        link.described = cameras
        links.append(link)
        link.start()
        return link

    yield make
    for link in links:
        link.close()


def test_the_session_number_rises_across_restarts(tmp_path):
    path = tmp_path / "session"
    assert [Sessions(path).next(), Sessions(path).next()] == [1, 2]
    path.write_text("garbage")
    assert Sessions(path).next() > 1_000_000_000


def test_a_disk_that_refuses_does_not_stop_the_link(tmp_path, caplog):
    sessions = Sessions(tmp_path / "gone" / "session")
    assert [sessions.next(), sessions.next()] == [1, 2]
    assert "cannot keep the session number" in caplog.text


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_everything_put_is_delivered_in_order_and_leaves_the_store(broker_port, make_link, outbox, protocol):
    with Listener(broker_port) as listener:
        link = make_link(broker_port, protocol)
        for number in range(100):
            link.put([event(number)])
        wait_until(lambda: len(outbox) == 0)
        wait_until(lambda: len(listener.of("events")) == 100)
        assert [payload["n"] for payload in listener.payloads("events")] == list(range(100))
        assert link.latency.percentiles().count == 100


def test_it_says_birth_status_and_ready_then_disconnected(broker_port, make_link):
    with Listener(broker_port) as listener:
        link = make_link(broker_port)
        link.announce(Message(TOPICS.status("door"), b'{"status": "online"}', retain=True))
        listener.wait_for("state", lambda state: state["state"] == "ready")
        birth = listener.wait_for("birth")
        listener.wait_for("status")
        link.tell(Message(TOPICS.metrics, b'{"frames": 1}', qos=0))
        listener.wait_for("metrics")
        link.close()
        last = listener.wait_for("state", lambda state: state["state"] == "disconnected")
        assert last["session"] == birth["session"]
        assert [state["state"] for state in listener.payloads("state")] == ["ready", "disconnected"]


def test_retained_statuses_wait_for_a_later_subscriber(broker_port, make_link):
    link = make_link(broker_port)
    link.announce(Message(TOPICS.status("door"), b'{"status": "online"}', retain=True))
    wait_until(lambda: link.connected)
    with Listener(broker_port) as listener:
        for kind in ("state", "birth", "status"):
            listener.wait_for(kind)
            assert listener.of(kind)[0].retained


def test_what_is_new_goes_before_what_waited(broker_port, make_link, outbox):
    outbox.put([event(number) for number in range(300)])
    outbox.rewind(late=True)
    with Listener(broker_port) as listener:
        link = make_link(broker_port, rate=100.0)
        wait_until(lambda: listener.of("events"))
        link.put([event(1000), event(1001)])
        wait_until(lambda: len(outbox) == 0)
        wait_until(lambda: len(listener.of("events")) == 302)
        came = [(payload["n"], payload["hist"]) for payload in listener.payloads("events")]
    late = [number for number, hist in came if hist]
    assert late == list(range(300))
    assert [number for number, hist in came if not hist] == [1000, 1001]
    assert came.index((1001, False)) < 250


def test_in_a_hurry_what_waited_goes_at_once(broker_port, make_link, outbox):
    outbox.put([event(number) for number in range(200)])
    outbox.rewind(late=True)
    link = make_link(broker_port, rate=1.0)
    wait_until(lambda: 0 < len(outbox) < 200)
    link.hurry()
    wait_until(lambda: len(outbox) == 0)


def test_unheard_by_any_control_room_it_goes_slowly(broker_port, make_link, outbox):
    with Listener(broker_port) as listener:
        away = Message("vedette/v1/hall/host/room/state", b'{"online": false, "timestamp": 1}', retain=True)
        listener.send(away)
        listener.wait_for("state", lambda state: "online" in state)
        outbox.put([event(number) for number in range(50)])
        outbox.rewind(late=True)
        link = make_link(broker_port, rate=30.0)
        wait_until(lambda: len(outbox) < 50)
        link.put([event(1000)])
        wait_until(lambda: 1000 in [payload["n"] for payload in listener.payloads("events")])
        assert len(outbox) > 10
        listener.send(Message(away.topic, b'{"online": true, "timestamp": 2}', retain=True))
        wait_until(lambda: len(outbox) == 0)


def test_trouble_makes_the_node_degraded_until_it_is_over(broker_port, make_link):
    with Listener(broker_port) as listener:
        link = make_link(broker_port)
        listener.wait_for("state", lambda state: state["state"] == "ready")
        link.report("disk", "it is full")
        link.report("disk", "it is full")
        link.report("sun", "it is hot")
        assert listener.wait_for("state", lambda state: "hot" in state["reason"])["state"] == "degraded"
        link.report("disk", "")
        link.report("sun", "")
        wait_until(lambda: len(listener.of("state")) == 5)
        states = [(state["state"], state["reason"]) for state in listener.payloads("state")]
    assert states == [
        ("ready", ""),
        ("degraded", "it is full"),
        ("degraded", "it is full; it is hot"),
        ("degraded", "it is hot"),
        ("ready", ""),
    ]


def test_a_birth_is_said_again_with_a_higher_version_when_something_changed(broker_port, make_link):
    with Listener(broker_port) as listener:
        link = make_link(broker_port)
        assert listener.wait_for("birth")["version"] == 1
        link.described.append("yard")
        link.introduce()
        birth = listener.wait_for("birth", lambda birth: birth["version"] == 2)
        link.introduce()
        wait_until(lambda: len(listener.of("birth")) == 3)
        assert listener.payloads("birth")[-1]["version"] == 2
    assert birth["cameras"] == [{"id": "yard", "source": "file"}]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_what_is_received_goes_to_its_route_and_one_that_raises_ends_nothing(
    broker_port, make_link, protocol, caplog
):
    taken = []

    def take(received):
        taken.append(received.payload)
        if received.payload == b"bad":
            raise ValueError("no good")

    with Listener(broker_port) as listener:
        link = make_link(broker_port, protocol, routes=[Route(TOPICS.command("+"), take)])
        listener.wait_for("state", lambda state: state["state"] == "ready")
        for payload in (b"bad", b"good"):
            listener.send(Message(TOPICS.command("a"), payload))
        listener.send(Message("vedette/v1/hall/n2/cmd/a", b"foreign"))
        wait_until(lambda: b"good" in taken)
        link.put([event(1)])
        listener.wait_for("events")
    assert taken == [b"bad", b"good"]
    assert "no good" in caplog.text


def test_what_is_told_later_comes_later(broker_port, make_link):
    with Listener(broker_port) as listener:
        link = make_link(broker_port)
        link.tell_later(0.6, Message(TOPICS.metrics, b'{"n": 2}', qos=0))
        link.tell_later(0.0, Message(TOPICS.metrics, b'{"n": 1}', qos=0))
        wait_until(lambda: len(listener.of("metrics")) == 2)
        assert [payload["n"] for payload in listener.payloads("metrics")] == [1, 2]


def test_an_embedded_broker_takes_it_all_with_mqtt_3_1_1(make_link, outbox):
    port = free_port()
    with EmbeddedBroker("127.0.0.1", port), Listener(port, "3.1.1") as listener:
        link = make_link(port, "3.1.1")
        link.put([event(n) for n in range(50)])
        wait_until(lambda: len(outbox) == 0)
        wait_until(lambda: len(listener.of("events")) == 50)
        link.close()
        listener.wait_for("state", lambda state: state["state"] == "disconnected")


def test_messages_put_while_the_broker_is_away_come_when_it_is_back(tmp_path, make_link, outbox, caplog):
    if not MOSQUITTO.exists():
        pytest.skip("Mosquitto is not installed")
    caplog.set_level(logging.INFO, "vedette_edge")
    port = free_port()
    link = make_link(port)
    wait_until(lambda: link.tried)
    link.put([event(0)])
    with mosquitto(tmp_path, port):
        wait_until(lambda: len(outbox) == 0)
    wait_until(lambda: not link.connected)
    link.put([event(1)])
    with mosquitto(tmp_path, port):
        wait_until(lambda: len(outbox) == 0)
        link.close()
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert "cannot reach" in warnings[0].message
    assert "is gone" in warnings[1].message
    assert int((tmp_path / "session").read_text()) >= 3


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_type_and_properties_travel_with_mqtt_5_only(broker_port, make_link, protocol):
    received = queue.SimpleQueue()
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.on_subscribe = lambda *_: received.put("subscribed")
    client.on_message = lambda _client, _data, message: received.put(message.properties)
    client.connect("127.0.0.1", broker_port)
    client.subscribe(TOPICS.heatmap("door"), 1)
    client.loop_start()
    assert received.get(timeout=5) == "subscribed"
    picture = Message(TOPICS.heatmap("door"), b"x", content_type="image/jpeg", properties=(("from", "n1"),))
    make_link(broker_port, protocol).put([picture])
    properties = received.get(timeout=5)
    client.disconnect()
    client.loop_stop()
    assert getattr(properties, "ContentType", None) == ("image/jpeg" if protocol == "5" else None)
    assert getattr(properties, "UserProperty", None) == ([("from", "n1")] if protocol == "5" else None)


def test_a_store_that_fails_ends_the_link_with_its_error(broker_port, make_link, outbox, caplog):
    link = make_link(broker_port)
    wait_until(lambda: link.connected)
    outbox.close()
    wait_until(lambda: link.error is not None)
    assert isinstance(link.error, OutboxError)
    assert link.heartbeat.retired
    assert "cannot use the store" in caplog.text


@pytest.fixture
def make_broker(tmp_path):
    if not MOSQUITTO.exists():
        pytest.skip("Mosquitto is not installed")
    contexts = []

    def make(extra):
        port = free_port()
        context = mosquitto(tmp_path, port, extra)
        context.__enter__()
        contexts.append(context)
        return port

    yield make
    for context in contexts:
        context.__exit__(None, None, None)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_bad_credentials_are_logged_with_what_to_do_and_without_the_password(
    make_broker, make_link, tmp_path, caplog, protocol
):
    (tmp_path / "passwords").touch()
    port = make_broker(f"allow_anonymous false\npassword_file {tmp_path / 'passwords'}")
    (tmp_path / "secret").write_text("hunter2\n")
    link = make_link(port, protocol, username="cam", password_file=tmp_path / "secret")
    wait_until(lambda: "refuses this client" in caplog.text)
    assert "check mqtt.username and mqtt.password_file" in caplog.text
    assert "hunter2" not in caplog.text
    assert not link.connected


def test_a_message_that_the_broker_refuses_stays_in_the_store(
    make_broker, make_link, outbox, tmp_path, caplog
):
    (tmp_path / "acl").write_text(f"topic readwrite {TOPICS.state}\ntopic write {TOPICS.events('door')}\n")
    port = make_broker(f"allow_anonymous true\nacl_file {tmp_path / 'acl'}")
    link = make_link(port)
    link.put([event(1), Message("elsewhere", b"{}"), event(2)])
    wait_until(lambda: len(outbox) == 1)
    outbox.rewind(late=False)
    assert outbox.take(1, late=False)[0].message.topic == "elsewhere"
    wait_until(lambda: "refuses elsewhere" in caplog.text)


class Server:
    """A server that is no broker."""

    def __init__(self, answer):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self._answer = answer
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self._thread.join()

    def _serve(self):
        for _ in itertools.count():
            try:
                connection, _address = self.socket.accept()
            except OSError:
                return
            with connection:
                connection.recv(1000)
                connection.sendall(self._answer)


@pytest.mark.parametrize(
    ("protocol", "answer", "advice"),
    [
        ("5", b"", 'mqtt.protocol: "3.1.1"'),
        ("3.1.1", b"", "give mqtt.tls"),
        ("3.1.1", b"\x20\x02\x00\x03", "see the broker's log"),
        ("5", b"\x20\x03\x00\x84\x00", 'mqtt.protocol: "3.1.1"'),
        ("5", b"\x20\x03\x00\x87\x00", "access list"),
    ],
)
def test_each_refusal_says_what_to_do(protocol, answer, advice):
    with Server(answer) as server:
        wire = Wire(Broker("127.0.0.1", server.port, protocol), "c")
        wire.open()
        event = wire.happened.get(timeout=5)
        wire.close()
    assert isinstance(event, Closed)
    assert advice in event.reason
    assert f"127.0.0.1:{server.port}" in event.reason


def test_a_port_without_a_server_is_a_broker_error():
    port = free_port()
    with pytest.raises(BrokerError, match=f"cannot reach the MQTT broker at 127.0.0.1:{port}"):
        Wire(Broker("127.0.0.1", port), "c").open()


def test_a_name_that_does_not_exist_is_a_broker_error():
    with pytest.raises(BrokerError, match="name cannot be resolved"):
        Wire(Broker("broker.invalid", 1883), "c").open()


@pytest.mark.parametrize("file", ["password", "ca"])
def test_a_credential_file_that_is_missing_is_a_config_error(tmp_path, file):
    gone = tmp_path / "gone"
    options = {"username": "u", "password_file": gone} if file == "password" else {"tls": Tls(gone)}
    with pytest.raises(ConfigError, match="gone"):
        Wire(Broker("h", 1, **options), "c")


# paho 2.2 leaves the socket of a failed handshake to the garbage collector, which warns.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_tls_to_a_port_that_does_not_speak_it_says_so():
    # The system's own certificates serve as any valid file of certificates.
    authorities = ssl.get_default_verify_paths().cafile
    if authorities is None:
        pytest.skip("this system has no file of certificates")
    with Server(b"no TLS here\r\n") as server:
        broker = Broker("127.0.0.1", server.port, tls=Tls(Path(authorities)))
        with pytest.raises(BrokerError, match="no TLS connection"):
            Wire(broker, "c").open()
