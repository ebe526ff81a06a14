from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from vedette_edge.errors import DataError
from vedette_edge.topics import Area, Identifier, Topics, parse_event, topic_part
from vedette_edge.types import Box

EVENT = {
    "type": "new",
    "id": "01ARYZ6S410000000000000000",
    "seq": 1,
    "boot": "b",
    "camera": "door",
    "label": "fight",
    "score": 0.9,
    "top_score": 0.9,
    "start_time": 1.0,
    "frame_time": 1.0,
    "position": 1.0,
    "start_position": 1.0,
    "area": {"x": 0, "y": 0, "w": 1, "h": 1},
    "hottest": [0.5, 0.5],
    "model_sha256": "0" * 64,
}
identifiers = TypeAdapter(Identifier)


@given(st.text(max_size=70))
def test_no_identifier_can_inject_a_level_or_a_wildcard(text):
    try:
        name = identifiers.validate_python(text)
    except ValidationError:
        return
    assert 1 <= len(name) <= 64
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert Topics("s", "n").events(name).count("/") == 6


@given(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?", fullmatch=True))
def test_every_plain_name_is_an_identifier(name):
    assert identifiers.validate_python(name) == name


def test_topics_of_a_node():
    topics = Topics("hall", "n1")
    assert topics.state == "vedette/v1/hall/n1/state"
    assert topics.birth == "vedette/v1/hall/n1/birth"
    assert topics.metrics == "vedette/v1/hall/n1/metrics"
    assert topics.status("door") == "vedette/v1/hall/n1/cam/door/status"
    assert topics.gap == "vedette/v1/hall/n1/gap"
    assert topics.hosts == "vedette/v1/hall/host/+/state"
    assert topics.command("reload") == "vedette/v1/hall/n1/cmd/reload"
    assert topics.response("reload") == "vedette/v1/hall/n1/cmd/reload/response"
    assert topics.count("door", "Push Up!") == "vedette/v1/hall/n1/cam/door/count/push-up"
    assert topics.heatmap("door") == "vedette/v1/hall/n1/cam/door/heatmap"


@given(st.text(max_size=20))
def test_every_label_is_one_level_of_a_topic(label):
    identifiers.validate_python(topic_part(label)[:64].strip("-"))


def test_an_event_is_read_from_the_wire():
    assert parse_event(json.dumps(EVENT).encode()).label == "fight"


@pytest.mark.parametrize("change", [{"score": 1.1}, {"typ": "new"}, {"camera": "a/b"}, {"seq": 0}])
def test_an_event_outside_the_contract_is_refused(change):
    with pytest.raises(DataError, match="not an event"):
        parse_event(json.dumps(EVENT | change).encode())


@given(st.binary(max_size=50))
def test_garbage_is_refused(payload):
    with pytest.raises(DataError):
        parse_event(payload)


def test_an_area_is_rounded():
    assert Area.of(Box(0.12345, 0.5, 0.25, 0.1)).x == 0.123
