from __future__ import annotations

import contextlib
import json
import shutil

import pytest
from edge_helpers import free_port, run_agent_process, wait_until
from secure_broker import broker_with_keys, connected, secure_mosquitto

from vedette_edge.errors import BrokerError, DataError
from vedette_edge.provision import Authority
from vedette_edge.publish.announce import Announcer, Description
from vedette_edge.publish.home_assistant import AnnouncedCamera, discovery
from vedette_edge.publish.mqtt import MqttLink
from vedette_edge.publish.outbox import Outbox
from vedette_edge.publish.routes import Route
from vedette_edge.publish.sessions import Sessions
from vedette_edge.publish.wire import Broker, Received
from vedette_edge.remote.ask import ask
from vedette_edge.remote.commander import Commander
from vedette_edge.remote.control import MemoryControl
from vedette_edge.remote.seen import Seen
from vedette_edge.topics import Topics

TOPICS = Topics("hall", "node-1")


@contextlib.contextmanager
def node(folder, broker, control):
    """A node without cameras: link, commander and outbox."""
    outbox = Outbox(folder / "outbox.db", gap_topic=TOPICS.gap)
    answers = []
    commander = Commander(TOPICS, control, Seen(folder / "seen"), lambda *answer: answers[0](*answer))
    announcer = Announcer(TOPICS, "boot", lambda: Description((), ()), lambda: 1.0)
    route = Route(commander.filter, commander.take)
    link = MqttLink(
        broker, "node", outbox, announcer, Sessions(folder / "session"), routes=[route], jitter=lambda: 0.05
    )
    answers.append(link.tell)
    commander.start()
    link.start()
    wait_until(lambda: link.connected)
    yield link
    commander.close()
    link.close()
    outbox.close()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("asking", ["5", "3.1.1"])
def test_a_question_is_answered_whatever_mqtt_both_speak(tmp_path, broker_port, protocol, asking):
    control = MemoryControl({"threshold": 0.5})
    args = {"camera": "door", "label": "fight", "value": 0.5}
    with node(tmp_path, Broker("127.0.0.1", broker_port, protocol), control):
        result = ask(Broker("127.0.0.1", broker_port, asking), TOPICS, "set_threshold", args, timeout=10)
    assert (result.ok, result.result) == (True, {"threshold": 0.5})
    assert control.asked[0][1].model_dump(exclude_none=True) == args


def test_no_answer_is_a_data_error_that_names_the_node(broker_port):
    with pytest.raises(DataError, match=r"hall/node-1 gave no answer within 0\.3 s"):
        ask(Broker("127.0.0.1", broker_port), TOPICS, "describe", {}, timeout=0.3)


def test_no_broker_is_a_broker_error():
    with pytest.raises(BrokerError, match="cannot reach"):
        ask(Broker("127.0.0.1", free_port()), TOPICS, "describe", {}, timeout=0.3)


def test_the_command_prints_the_answer_and_fails_where_the_node_refuses(tmp_path, broker_port):
    control = MemoryControl({"cameras": 2})
    address = ("--site", "hall", "--node", "node-1", "--broker", f"127.0.0.1:{broker_port}")
    with node(tmp_path, Broker("127.0.0.1", broker_port), control):
        result = run_agent_process("send", "describe", *address)
        assert (result.returncode, result.stderr) == (0, "")
        assert json.loads(result.stdout)["result"] == {"cameras": 2}
        control._outcome = DataError("there is no camera 'x'")
        result = run_agent_process("send", "disable", *address, "--arg", "camera=x")
    assert result.returncode == 1
    assert json.loads(result.stdout)["reason"] == "failed"
    assert "did not do it (failed): there is no camera 'x'" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("snapshot",), "camera: missing"),
        (("snapshot", "--arg", "cam=door"), "did you mean 'camera'"),
        (("snapshot", "--arg", "camera"), "not of the form KEY=VALUE"),
        (("config", "--arg", "document=@nowhere"), "cannot read 'nowhere'"),
        (("reboot",), "invalid choice"),
        (("describe", "--cert-file", "a"), "--key-file belong together"),
        (("describe", "--password-file", "a"), "needs --username"),
    ],
)
def test_what_makes_no_command_is_a_usage_error(arguments, said):
    result = run_agent_process("send", *arguments, "--site", "hall", "--node", "n1")
    assert result.returncode == 2
    assert said in result.stderr


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_with_certificates_and_the_access_list_all_of_it_passes(tmp_path):
    keys, folder = tmp_path / "keys", tmp_path / "broker"
    folder.mkdir()
    authority = Authority(keys)
    authority.issue("broker", hosts=("localhost",))
    for name in ("node-1", "control-room", "home-assistant"):
        authority.issue(name)
    with secure_mosquitto(folder, keys) as (port, log):
        home = connected(keys, port, "home-assistant")
        home.subscribe("homeassistant/device/+/config")
        with node(tmp_path, broker_with_keys(keys, port, "node-1"), MemoryControl({"done": True})) as link:
            cameras = [AnnouncedCamera("door", ("fight",))]
            link.announce(discovery(TOPICS, cameras, prefix="homeassistant", metrics_interval=30))
            room = broker_with_keys(keys, port, "control-room")
            assert ask(room, TOPICS, "describe", {}, timeout=10).ok, log()
            found = home.happened.get(timeout=10)
            while not isinstance(found, Received):
                found = home.happened.get(timeout=10)
        home.close()
    assert found.topic == "homeassistant/device/node-1/config"
