from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import pytest
import yaml

from vedette_edge.asyncapi import CHANNELS, document, main, render
from vedette_edge.remote.arguments import COMMANDS
from vedette_edge.topics import ROOT, Topics

PUBLISHED = Path(__file__).parents[2] / "docs" / "asyncapi.yaml"
COMMAND = "python -m vedette_edge.asyncapi docs/asyncapi.yaml"


@pytest.fixture(scope="module")
def spec():
    return yaml.safe_load(PUBLISHED.read_text())


def walk(value):
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(inner)


def test_the_published_document_is_the_one_in_force():
    assert PUBLISHED.read_text() == render(), f"out of date, run: {COMMAND}"


def test_it_has_the_parts_that_asyncapi_3_asks_for(spec):
    assert spec["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= spec["info"].keys()
    assert spec.keys() <= {"asyncapi", "info", "defaultContentType", "channels", "operations", "components"}
    for channel in spec["channels"].values():
        assert channel.keys() == {"address", "summary", "parameters", "messages"}
    for operation in spec["operations"].values():
        assert operation["action"] in ("send", "receive")
        assert operation["bindings"]["mqtt"].keys() <= {
            "qos", "retain", "messageExpiryInterval", "bindingVersion",
        }  # fmt: skip


def test_every_reference_leads_somewhere(spec):
    references = [value["$ref"] for value in walk(spec) if isinstance(value, dict) and "$ref" in value]
    assert len(references) > 40
    for reference in references:
        target = spec
        for part in reference.removeprefix("#/").split("/"):
            assert part in target, reference
            target = target[part]


def test_every_placeholder_of_an_address_is_described(spec):
    for channel in spec["channels"].values():
        assert re.findall(r"\{(\w+)\}", channel["address"]) == list(channel["parameters"])


def test_its_schemas_keep_to_draft_07(spec):
    for value in walk(spec["components"]["schemas"]):
        if isinstance(value, dict):
            assert not value.keys() & {"$defs", "prefixItems", "unevaluatedProperties", "dependentSchemas"}


def test_every_topic_of_the_contract_is_in_it():
    topics = Topics("{site}", "{node}")
    names = {"camera": "{cam}", "label": "label", "name": "{name}", "model": "{model}"}
    found = set()
    for name, member in inspect.getmembers(Topics):
        if name.startswith("_") or name in ("site", "node"):
            continue
        if isinstance(member, property):
            found.add(getattr(topics, name))
        else:
            wanted = list(inspect.signature(member).parameters)[1:]
            found.add(getattr(topics, name)(*(names[one] for one in wanted)))
    assert {one.replace("/label", "/{label}").replace("host/+", "host/{host}") for one in found} == {
        channel.address for channel in CHANNELS
    }


def test_every_command_names_its_arguments(spec):
    for name, model in COMMANDS.items():
        assert f"{name}: {model.__name__}" in spec["info"]["description"]
        assert model.__name__ in spec["components"]["schemas"]


def test_the_version_is_that_of_the_topics():
    assert document()["info"]["version"].startswith(ROOT[-1])


def test_the_command_writes_it(tmp_path, capsys):
    assert main([str(tmp_path / "a.yaml")]) == 0
    assert json.dumps(yaml.safe_load((tmp_path / "a.yaml").read_text())) == json.dumps(document())
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err


GUIDE = (Path(__file__).parents[2] / "docs" / "mqtt.md").read_text()
EXAMPLES = re.findall(r"^`(vedette/\S+)`\n\n```json\n(.*?)```", GUIDE, re.M | re.S)


@pytest.mark.parametrize(("topic", "payload"), EXAMPLES, ids=[topic for topic, _ in EXAMPLES])
def test_the_examples_of_the_guide_are_payloads_of_the_contract(topic, payload):
    (channel,) = [
        one for one in CHANNELS if re.fullmatch(re.sub(r"\{\w+\}", r"[a-z0-9_-]+", one.address), topic)
    ]
    channel.payload.model_validate_json(payload)


def test_the_guide_has_examples_and_lists_every_topic():
    assert len(EXAMPLES) == 10
    for channel in CHANNELS:
        part = channel.address.removeprefix(f"{ROOT}/{{site}}/{{node}}/")
        (row,) = [line for line in GUIDE.splitlines() if line.startswith(f"| `{part}` |")]
        qos, retained = (cell.strip(" *") for cell in row.split("|")[2:4])
        assert (int(qos), retained == "yes") == (channel.qos, channel.retain), part
