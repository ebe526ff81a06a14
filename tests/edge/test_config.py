from __future__ import annotations

import json
import re
import typing
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from vedette_edge.bundle import open_bundle
from vedette_edge.config import (
    MAIN,
    AgentConfig,
    CameraConfig,
    DecisionOverride,
    MqttConfig,
    alarm_labels,
    check_cameras,
    decision_for,
    load_config,
)
from vedette_edge.config.ota import OtaConfig
from vedette_edge.config.sources import SourceConfig
from vedette_edge.errors import ConfigError
from vedette_edge.manifest import Decision
from vedette_edge.validation import describe_errors

EXAMPLE = Path(__file__).parents[2] / "firmware-configs" / "edge-agent.example.yaml"
SOURCE_SECTIONS = typing.get_args(typing.get_args(SourceConfig)[0])
MINIMAL = """
site: hall
node: node-1
bundle: models/b
cameras:
  - id: door
    source: {type: file, path: door.mp4}
"""


@pytest.fixture
def load(tmp_path):
    def load(text):
        (tmp_path / "c.yaml").write_text(text)
        return load_config(tmp_path / "c.yaml")

    return load


def camera(**changes):
    values = {"id": "door", "source": {"type": "file", "path": "x"}}
    return CameraConfig.model_validate_json(json.dumps(values | changes))


def test_relative_paths_are_relative_to_the_file(load, tmp_path):
    config = load(MINIMAL + "state_dir: /var/lib/x\n")
    assert config.bundle == tmp_path / "models" / "b"
    assert config.cameras[0].source.path == tmp_path / "door.mp4"
    assert config.state_dir == Path("/var/lib/x")


def test_a_configuration_cannot_be_changed(load):
    with pytest.raises(ValueError, match="frozen"):
        load(MINIMAL).site = "other"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MINIMAL + "mqtt: {hots: x}", "mqtt.hots: unknown key, did you mean 'host'"),
        (
            MINIMAL.replace("id: door", "idd: door"),
            r"cameras.0.id: missing; cameras.0.idd: .*did you mean 'id'",
        ),
        (MINIMAL.replace("path: door", "pth: door"), r"cameras.0.source.file.pth: .*did you mean 'path'"),
        (MINIMAL.replace("type: file", "type: fil"), r"cameras.0.source: .*'fil' .*expected tags: 'file', "),
        (MINIMAL.replace("site: hall", "site: Hall/1"), r"site: .*'Hall/1'"),
        (MINIMAL + "threads: -1", "threads: .*greater than or equal to 0"),
        (MINIMAL + 'threads: "2"', "threads: .*valid integer"),
        (MINIMAL + "mqtt: {protocol: 5}", "mqtt.protocol"),
        (MINIMAL + "mqtt: {password_file: x}", "password_file needs a username"),
        (MINIMAL + "mqtt: {tls: {ca_file: a, key_file: b}}", "give both or neither"),
        (MINIMAL + "metrics_interval: .inf", "metrics_interval"),
        (MINIMAL + "governor: {warm_celsius: 95.0}", r"hot_celsius \(90\) must be above warm_celsius \(95\)"),
        (MINIMAL + "site: again", "line 8: the key 'site' is given twice"),
        (MINIMAL + "  - {id: door, source: {type: file, path: b}}", "used twice: door"),
        (MINIMAL + "mqtt: [", "not YAML in line"),
        (MINIMAL + "a: &a [*a]", "not YAML"),
        ("", "the file: "),
        ("- a", "the file: "),
        ("? [a, b]\n: c", "not YAML"),
        ("? {a: b}\n: c", "not YAML"),
        ("cameras: []", "site: missing.*cameras: "),
    ],
)
def test_what_is_wrong_is_named_with_the_file(load, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load(text)
    assert "c.yaml: " in str(caught.value)


def network(kind, **keys):
    return camera(source={"type": kind, "url": f"{kind}://h".replace("mjpeg", "http")} | keys)


@pytest.mark.parametrize(
    ("kind", "keys", "message"),
    [
        ("rtsp", {"url": "rtsp://admin:hunter2@10.0.0.7/live"}, "the url holds credentials: give username"),
        ("rtsp", {"url": "rtps://admin:hunter2@10.0.0.7/live"}, "the url must be rtsp://"),
        ("rtsp", {"url": "rtsp://h:hunter2/live"}, "the url must be rtsp://"),
        ("rtsp", {"url": "rtsp://[hunter2/live"}, "the url must be rtsp://"),
        ("rtsp", {"url": "rtsp://h/hunter2\r\nX: y"}, "the url must be rtsp://"),
        ("mjpeg", {"url": "rtsp://h/hunter2"}, "the url must be http:// or https://"),
        ("mjpeg", {"url": "http:///hunter2"}, "the url must be http://"),
        ("mjpeg", {"url": "http://h/hunter2" + "x" * 3000}, "the url must be http://"),
        ("mjpeg", {"password_env": "hunter2"}, "need a username"),
        ("rtsp", {"username": "a", "password_env": "hunter2", "password_file": "p"}, "not both"),
        ("rtsp", {"password": "hunter2"}, "unknown key"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_showing_it(kind, keys, message):
    with pytest.raises(ValidationError) as caught:
        network(kind, **keys)
    text = describe_errors(caught.value, CameraConfig)
    assert message in text
    assert "hunter2" not in text


@pytest.mark.parametrize(("kind", "pressure"), [("rtsp", "drop-oldest"), ("mjpeg", "drop-oldest")])
def test_live_sources_drop_and_are_opened_again(kind, pressure):
    assert network(kind).pressure == pressure
    assert network(kind).source.live
    assert not camera().source.live


def test_a_device_is_a_number_or_a_path():
    assert camera(source={"type": "usb", "device": 3}).source.device == 3
    assert camera(source={"type": "usb", "device": "/dev/v4l/by-id/x"}).source.device == "/dev/v4l/by-id/x"


def test_all_mistakes_are_told_at_once(load):
    with pytest.raises(ConfigError) as caught:
        load(MINIMAL.replace("node:", "nod:") + "metrics_interval: 0\nsnapshots: {qualty: 3}")
    for expected in ("node: missing", "'node'", "metrics_interval", "'quality'"):
        assert expected in str(caught.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_a_config_error(tmp_path, content):
    path = tmp_path / "c.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"c\.yaml"):
        load_config(path)


def test_yaml_merge_keys_are_no_duplicates(load):
    text = MINIMAL.replace("- id: door", "- &first\n    id: door") + "  - {<<: *first, id: gate}\n"
    assert [one.id for one in load(text).cameras] == ["door", "gate"]


def test_the_override_has_exactly_the_fields_of_a_decision():
    assert DecisionOverride.model_fields.keys() == Decision.model_fields.keys()


def test_an_override_changes_only_what_it_names(shared_bundle):
    defaults = open_bundle(shared_bundle).manifest.decision
    changed = decision_for(camera(decision={"hop": 7}), defaults)
    assert changed == defaults.model_copy(update={"hop": 7})


def test_labels_choose_what_alarms(shared_bundle):
    manifest = open_bundle(shared_bundle).manifest
    assert alarm_labels(camera(), manifest) == (1,)
    assert alarm_labels(camera(labels=["calm"]), manifest) == (0,)


def test_settings_that_do_not_fit_the_model_are_all_named(shared_bundle, load):
    config = load(MINIMAL + "    decision: {off_threshold: 0.99}\n    labels: [fire]\n")
    with pytest.raises(
        ConfigError, match=r"'door', decision: .*0\.99.*; camera 'door', labels: .*no fire"
    ) as caught:
        check_cameras(config, {MAIN: open_bundle(shared_bundle).manifest})
    assert "calm, bright" in str(caught.value)


@pytest.mark.parametrize(
    ("models", "why"),
    [("[a, a]", "a model stands twice"), ("[metadata]", "that place of the store is taken")],
)
def test_each_model_that_is_updated_has_a_place_of_its_own(load, models, why):
    text = MINIMAL + f"ota: {{url: 'https://models.example.com', fleet: hall, models: {models}}}"
    with pytest.raises(ConfigError, match=why):
        load(text)


def test_the_example_is_valid():
    config = load_config(EXAMPLE)
    assert config.mqtt == MqttConfig()
    assert config.cameras[0].id == "door"


def uncommented():
    """Return the example with every commented-out setting in force."""
    lines = []
    for line in EXAMPLE.read_text().splitlines():
        lines.append(re.sub(r"^( *)# ( *[a-z_]+:( |$))", r"\1\2", line))
    return yaml.safe_load("\n".join(lines))


# Sections that are there only where somebody writes them; the example shows what can be in them.
OPTIONAL = {(AgentConfig, "ota"): OtaConfig}


def sections(model, shown):
    """Yield (section, what the example shows of it) for a section and all that are in it."""
    yield model, shown
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            yield from sections(type(field.default), shown[name])
        elif (model, name) in OPTIONAL:
            assert field.default is None
            yield from sections(OPTIONAL[model, name], shown[name])


def test_the_example_documents_every_setting_with_its_real_default():
    shown = uncommented()
    camera = shown["cameras"][0]
    found = [*sections(AgentConfig, shown), *sections(CameraConfig, camera)]
    kinds = {section.model_fields["type"].annotation: section for section in SOURCE_SECTIONS}
    sources = [one["source"] for one in shown["cameras"]]
    assert {source["type"] for source in sources} == {kind for (kind,) in map(typing.get_args, kinds)}
    for model, values in [*found, *((kinds[typing.Literal[source["type"]]], source) for source in sources)]:
        assert values.keys() == model.model_fields.keys(), model
        for name, field in model.model_fields.items():
            if field.is_required() or isinstance(field.default, BaseModel):
                continue
            default = json.loads(json.dumps(field.default, default=str))
            # What the example must give, because it has no default there, is not compared.
            if (model, name) != (AgentConfig, "bundle") and (model, name) not in OPTIONAL:
                assert values[name] == default, (model, name)
