from __future__ import annotations

import contextlib
import shutil
import stat
import subprocess

import pytest
import yaml
from edge_helpers import wait_until
from secure_broker import connected, secure_mosquitto

from vedette_edge.config import MqttConfig
from vedette_edge.errors import BrokerError, ConfigError
from vedette_edge.provision import Authority, mqtt_section
from vedette_edge.publish.base import Message
from vedette_edge.publish.wire import Acknowledged, Broker, Closed, Received, Tls, Wire

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    directory = tmp_path_factory.mktemp("keys")
    authority = Authority(directory)
    authority.issue("broker", hosts=("localhost", "127.0.0.1"))
    for name in ("node-1", "node-2", "control-room"):
        authority.issue(name)
    return directory


def openssl(*arguments):
    return subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, check=True
    ).stdout


def test_certificates_are_signed_for_their_purpose_by_the_authority(keys):
    for name, purpose in (("broker", "sslserver"), ("node-1", "sslclient")):
        openssl("verify", "-CAfile", keys / "ca.pem", "-purpose", purpose, keys / name / f"{name}.pem")
    with pytest.raises(subprocess.CalledProcessError):
        openssl("verify", "-CAfile", keys / "ca.pem", "-purpose", "sslserver", keys / "node-1" / "node-1.pem")
    text = openssl("x509", "-in", keys / "broker" / "broker.pem", "-noout", "-text")
    assert "DNS:localhost, IP Address:127.0.0.1" in text


def test_keys_are_for_their_owner_alone(keys):
    for path in (keys / "ca.key", keys / "node-1" / "node-1.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_is_never_made_twice(keys):
    before = (keys / "node-1" / "node-1.key").read_bytes()
    with pytest.raises(ConfigError, match="is there already"):
        Authority(keys).issue("node-1")
    assert (keys / "node-1" / "node-1.key").read_bytes() == before


def test_half_an_authority_is_refused(tmp_path):
    (tmp_path / "ca.pem").write_text("x")
    with pytest.raises(ConfigError, match="only one of"):
        Authority(tmp_path).issue("node-1")


def test_a_failure_leaves_nothing(tmp_path):
    (tmp_path / "ca.pem").write_text("x")
    (tmp_path / "ca.key").write_text("x")
    with pytest.raises(ConfigError, match="openssl x509 failed"):
        Authority(tmp_path).issue("node-1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ca.key", "ca.pem"]


@pytest.fixture
def broker(keys, tmp_path):
    with secure_mosquitto(tmp_path, keys) as running:
        yield running


def test_a_node_speaks_for_itself_alone(keys, broker):
    port, log = broker
    room, node = connected(keys, port, "control-room"), connected(keys, port, "node-1")
    room.subscribe("vedette/v1/#")
    try:
        for name in ("node-2", "node-1"):
            # Retained, so that it comes also where the subscription is slower than the message.
            node.send(Message(f"vedette/v1/hall/{name}/cam/door/events", name.encode(), retain=True))
        received = []

        def heard():
            while not room.happened.empty():
                event = room.happened.get()
                if isinstance(event, Received):
                    received.append((event.topic, event.payload))
            return received

        wait_until(heard)
        assert received == [("vedette/v1/hall/node-1/cam/door/events", b"node-1")]
        refused = [node.happened.get(timeout=5) for _ in range(2)]
        assert [bool(one.failure) for one in refused if isinstance(one, Acknowledged)] == [True, False], log()
    finally:
        room.close()
        node.close()


def test_a_node_reports_its_updates_and_hears_the_hints_to_it_alone(keys, broker):
    port, log = broker
    room, node = connected(keys, port, "control-room"), connected(keys, port, "node-1")
    room.subscribe("vedette/v1/+/+/ota/report")
    node.subscribe("vedette/v1/hall/+/ota/desired")
    heard = {"room": [], "node": []}

    def listen():
        for name, wire in (("room", room), ("node", node)):
            while not wire.happened.empty():
                event = wire.happened.get()
                if isinstance(event, Received):
                    heard[name].append((event.topic, event.payload))
        return heard["room"] and heard["node"]

    try:
        for name in ("node-2", "node-1"):
            node.send(Message(f"vedette/v1/hall/{name}/ota/report", b"{}", retain=True))
            room.send(Message(f"vedette/v1/hall/{name}/ota/desired", name.encode(), retain=True))
        wait_until(listen)
        assert heard["room"] == [("vedette/v1/hall/node-1/ota/report", b"{}")], log()
        assert heard["node"] == [("vedette/v1/hall/node-1/ota/desired", b"node-1")], log()
    finally:
        room.close()
        node.close()


def test_without_a_certificate_nobody_gets_in(keys, broker):
    port, _ = broker
    connected(keys, port, "node-1").close()
    wire = Wire(Broker("localhost", port, tls=Tls(keys / "ca.pem")), "intruder")
    # With TLS 1.3 the refusal comes after the client's own handshake, so either side may notice it first.
    with contextlib.suppress(BrokerError):
        wire.open()
        assert isinstance(wire.happened.get(timeout=5), Closed)
    wire.close()


def test_the_section_is_what_the_configuration_takes(tmp_path):
    section = yaml.safe_load(mqtt_section(tmp_path, "node-1", "broker.example"))
    assert MqttConfig.model_validate(section["mqtt"], strict=False).tls.cert_file == tmp_path / "node-1.pem"
