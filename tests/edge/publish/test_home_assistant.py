from __future__ import annotations

import json
import re

import pytest
from jinja2 import Template

from vedette_edge.publish.base import Message
from vedette_edge.publish.home_assistant import AnnouncedCamera, Greeter, discovery
from vedette_edge.publish.wire import Received
from vedette_edge.remote.arguments import COMMANDS
from vedette_edge.topics import CameraStatus, Metrics, NodeState, Topics

TOPICS = Topics("hall", "n1")
CAMERAS = (AnnouncedCamera("door", ("Fight!", "calm")), AnnouncedCamera("yard", ("calm",), "image/webp"))
MODELS = {TOPICS.metrics: Metrics, TOPICS.state: NodeState, TOPICS.status("door"): CameraStatus}


@pytest.fixture
def message():
    return discovery(TOPICS, CAMERAS, prefix="homeassistant", metrics_interval=30)


@pytest.fixture
def payload(message):
    return json.loads(message.payload)


def test_one_retained_message_lists_the_whole_device(message, payload):
    assert (message.topic, message.qos, message.retain) == ("homeassistant/device/n1/config", 1, True)
    assert payload["dev"]["ids"] == "vedette_hall_n1"
    assert payload["o"]["name"] == "vedette"
    assert payload["availability"][0]["topic"] == TOPICS.state


def test_each_entity_has_a_platform_and_an_id_of_its_own(payload):
    components = payload["cmps"].values()
    assert {one["p"] for one in components} == {"binary_sensor", "sensor", "image", "button"}
    ids = [one["unique_id"] for one in components]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"vedette_hall_n1_[a-z0-9_-]+", one) for one in ids)


def test_a_label_is_on_while_its_count_is_above_zero(payload):
    sensor = payload["cmps"]["door_fight"]
    assert sensor["state_topic"] == TOPICS.count("door", "Fight!")
    assert "value | int(0) > 0" in sensor["value_template"]


def test_the_rate_of_each_camera_is_read_out_of_the_metrics(payload):
    template = Template(payload["cmps"]["yard_fps"]["value_template"])
    metrics = {"cameras": [{"id": "door", "fps": 25.0}, {"id": "yard", "fps": 12.5}]}
    assert template.render(value_json=metrics) == "12.5"


def test_pictures_are_images_of_their_type(payload):
    assert payload["cmps"]["yard_heatmap"]["content_type"] == "image/webp"
    assert payload["cmps"]["door_picture"]["image_topic"] == TOPICS.snapshot("door")


def test_the_button_presses_a_command_that_the_node_takes(payload):
    button = payload["cmps"]["door_snapshot"]
    assert button["command_topic"] == TOPICS.command("snapshot")
    # What Home Assistant makes of its templates.
    rendered = re.sub(r"ha-\{\{.*?\}\}-\{\{.*?\}\}", "ha-1-2", button["command_template"])
    rendered = re.sub(r"\{\{.*?\}\}", "1700000060.5", rendered)
    request = json.loads(rendered)
    assert request.keys() == {"id", "exp", "args"}
    COMMANDS["snapshot"].model_validate(request["args"])


def test_every_template_asks_for_a_field_that_the_payload_has(payload):
    asked = [
        (one["state_topic"], name)
        for one in payload["cmps"].values()
        for name in re.findall(r"value_json\.(\w+)", one.get("value_template", ""))
    ]
    asked += [(one["topic"], "state") for one in payload["availability"]]
    assert len(asked) >= 6
    for topic, name in asked:
        model = MODELS[topic.replace("yard", "door")]
        assert name in model.model_fields, (topic, name)


def test_it_is_sent_again_within_ten_seconds_of_home_assistants_return():
    later = []
    current = Message("c", b"x", retain=True)
    greeter = Greeter("ha", lambda: current, lambda seconds, one: later.append((seconds, one)), lambda: 0.5)
    assert greeter.topics == "ha/status"
    greeter.take(Received("ha/status", b"offline"))
    greeter.take(Received("ha/status", b"online", retained=True))
    assert later == []
    greeter.take(Received("ha/status", b"online"))
    assert later == [(5.0, current)]
