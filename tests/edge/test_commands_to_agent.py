"""A real agent that is asked, over a real broker, to change while it watches."""

from __future__ import annotations

import json
import signal

import pytest
import yaml
from edge_helpers import Listener, agent_process, wait_until, write_config, write_video

from vedette_edge.publish.wire import Broker
from vedette_edge.remote.ask import ask
from vedette_edge.topics import Topics

TOPICS = Topics("hall", "node-1")


@pytest.fixture(scope="module")
def flicker(tmp_path_factory):
    """A minute in which an event begins every two seconds."""
    return write_video(tmp_path_factory.mktemp("video") / "flicker.mp4", *[(1, False), (1, True)] * 30)


def camera(name, video, **changes):
    return {"id": name, "source": {"type": "file", "path": str(video)}} | changes


@pytest.fixture
def watching(tmp_path, shared_bundle, flicker, broker_port):
    """An agent with two cameras; gives (listener, ask, path of the configuration, process)."""
    cameras = [camera("door", flicker), camera("gate", flicker)]
    commands = {"remote_config": True}
    config = write_config(
        tmp_path / "agent.yaml", shared_bundle, flicker, broker_port, cameras=cameras, commands=commands
    )

    def request(name, **args):
        answer = ask(Broker("127.0.0.1", broker_port), TOPICS, name, args, timeout=20)
        assert answer.ok, answer.error
        return answer.result

    with Listener(broker_port) as listener, agent_process("run", "--config", config) as process:
        listener.wait_for("state", lambda state: state["state"] == "ready")
        for name in ("door", "gate"):
            wait_until(lambda name=name: statuses(listener, name)[-1:] == ["online"], 20, f"{name} online")
        yield listener, request, config, process
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, process.stderr.read()


def statuses(listener, name):
    topic = TOPICS.status(name)
    return [json.loads(one.payload)["status"] for one in listener.of("status") if one.topic == topic]


def events(listener, name):
    topic = TOPICS.events(name)
    return [json.loads(one.payload) for one in listener.of("events") if one.topic == topic]


def pictures(listener):
    return [one for one in listener.of("snapshot") if one.topic == TOPICS.snapshot("door")]


def going_on(listener, name):
    told = events(listener, name)
    new, end = ({one["id"] for one in told if one["type"] == kind} for kind in ("new", "end"))
    return new - end


def rewrite(config, change):
    values = yaml.safe_load(config.read_text())
    change(values)
    config.write_text(yaml.safe_dump(values))


def test_a_camera_is_disabled_and_enabled_while_the_other_goes_on(watching):
    listener, request, *_ = watching
    assert request("disable", camera="door")["enabled"] is False
    wait_until(lambda: statuses(listener, "door")[-1] == "disabled", 20, "the door's status")
    seen = len(events(listener, "gate"))
    wait_until(lambda: len(events(listener, "gate")) > seen + 2, 20, "events of the gate")
    assert not going_on(listener, "door")
    request("enable", camera="door")
    wait_until(lambda: statuses(listener, "door")[-1] == "online", 20, "the door's return")
    assert statuses(listener, "gate") == ["online"]


def test_a_plain_picture_comes_when_it_is_asked_for(watching):
    listener, request, *_ = watching
    size = request("snapshot", camera="door")["bytes"]
    wait_until(lambda: pictures(listener), 10, "the picture")
    (picture,) = pictures(listener)
    assert len(picture.payload) == size
    assert picture.payload.startswith(b"\xff\xd8")


def test_what_cannot_be_done_is_answered_with_the_reason(watching):
    _, request, *_ = watching
    with pytest.raises(AssertionError, match="no camera 'roof'"):
        request("disable", camera="roof")
    with pytest.raises(AssertionError, match="no model raises events of label 'fire'"):
        request("set_threshold", camera="door", label="fire", value=0.5)
    with pytest.raises(AssertionError, match="no model judges single pictures"):
        request("trigger", camera="door")


def test_a_threshold_above_every_score_ends_the_alarms_of_one_camera(watching):
    listener, request, *_ = watching
    assert request("set_threshold", camera="door", label="bright", value=1.0)["models"] == ["main"]
    wait_until(lambda: not going_on(listener, "door"), 20, "the end of what went on")
    seen = {event["id"] for event in events(listener, "door")}
    gate = len(events(listener, "gate"))
    wait_until(lambda: len(events(listener, "gate")) > gate + 4, 20, "events of the gate")
    assert {event["id"] for event in events(listener, "door")} == seen


def test_it_tells_what_it_is(watching):
    _, request, *_ = watching
    told = request("describe")
    assert [one["id"] for one in told["cameras"]] == ["door", "gate"]
    assert told["models"][0]["variant"] == "onnx-fp32"


def test_a_hang_up_signal_takes_over_what_differs_and_no_more(watching, flicker):
    listener, _, config, process = watching
    rewrite(config, lambda values: values["cameras"].append(camera("roof", flicker)))
    rewrite(config, lambda values: values["cameras"][0].update(decision={"on_threshold": 0.9}))
    process.send_signal(signal.SIGHUP)
    report = listener.wait_for("report")
    assert report["ok"]
    assert set(report["changes"]) == {"camera 'roof' is added", "camera 'door' is retuned"}
    wait_until(lambda: statuses(listener, "roof") == ["online"], 20, "the roof's status")
    wait_until(lambda: any(event["type"] == "end" for event in events(listener, "roof")), 20)
    assert statuses(listener, "door") == statuses(listener, "gate") == ["online"]


def test_a_camera_that_is_taken_out_ends_its_events(watching):
    listener, request, config, _ = watching
    rewrite(config, lambda values: values["cameras"].pop(0))
    assert request("reload")["changes"] == ["camera 'door' is removed"]
    wait_until(lambda: statuses(listener, "door")[-1] == "offline", 20, "the door's status")
    wait_until(lambda: not going_on(listener, "door"), 20, "the ends")


def test_a_wrong_configuration_changes_nothing_and_the_reason_is_published(watching):
    listener, request, config, _ = watching
    config.write_text("site: [")
    with pytest.raises(AssertionError, match="not YAML"):
        request("reload")
    report = listener.wait_for("report")
    assert not report["ok"]
    assert "agent.yaml" in report["error"]
    assert statuses(listener, "door") == statuses(listener, "gate") == ["online"]


def test_a_configuration_from_afar_is_tried_then_taken_and_the_old_one_kept(watching):
    listener, request, config, _ = watching
    before = config.read_text()
    values = yaml.safe_load(before)
    del values["cameras"][1]
    document = yaml.safe_dump(values)
    tried = request("config", document=document)
    assert (tried["dry_run"], tried["changes"]) == (True, ["camera 'gate' is removed"])
    assert config.read_text() == before
    request("config", document=document, dry_run=False)
    wait_until(lambda: statuses(listener, "gate")[-1] == "offline", 20, "the gate's status")
    assert config.read_text() == document
    assert config.with_name("agent.yaml.before").read_text() == before
    with pytest.raises(AssertionError, match="cannot be changed from afar"):
        request("config", document=yaml.safe_dump(values | {"node": "other"}), dry_run=False)
