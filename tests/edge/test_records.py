from __future__ import annotations

import json

import pytest

from vedette_edge.records import plain_record
from vedette_edge.topics import Topics
from vedette_edge.watch import Reader

TOPICS = Topics("hall", "n1")
TS = 1_700_000_000.0


def line(topic, **content):
    return plain_record(topic, json.dumps(content).encode()).line


def test_a_degraded_node_says_why():
    said = line(TOPICS.state, state="degraded", session=1, boot="b", reason="the disk is full", ts=TS)
    assert "hall/n1  degraded: the disk is full" in said


def test_a_birth_names_models_and_cameras():
    model = {"name": "main", "title": "fights", "sha256": "0" * 64, "variant": "onnx-int8", "runtime": "onnx"}
    said = line(
        TOPICS.birth, version=1, session=1, boot="b", ts=TS, agent="1.2", schemas={},
        models=[model | {"mode": "clip", "labels": ["a"]}], cameras=[{"id": "door", "source": "rtsp"}],
    )  # fmt: skip
    assert "agent 1.2, models main (onnx-int8), cameras door" in said


def test_a_camera_says_how_it_is():
    said = line(TOPICS.status("door"), status="stalled", reason="no frame for 5 s", ts=TS)
    assert "hall/n1/door  stalled: no frame for 5 s" in said


def test_a_gap_says_what_was_dropped():
    assert line(TOPICS.gap, boot="b", ts=TS, picture=3, update=1).endswith("dropped 1 update, 3 picture")


def test_the_governor_says_what_it_spares():
    said = line(TOPICS.governor, ts=TS, step=2, name="longer-hop", reason="76 degrees", paused=[])
    assert said.endswith("longer-hop: 76 degrees")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ok": True, "changes": ["camera 'a' is new"]}, "taken; camera 'a' is new"),
        ({"ok": True, "dry_run": True}, "would be taken"),
        ({"ok": False, "error": "site: missing"}, "refused: site: missing"),
    ],
)
def test_a_configuration_says_what_became_of_it(changes, said):
    assert line(TOPICS.config_report, ts=TS, sha256="0" * 64, **changes).endswith(said)


def test_updates_are_said_in_sentences_and_hints_as_what_they_are():
    model = {"model": "fights", "names": ["main"], "state": "idle", "since": 0, "seq": 1, "runs": None}
    assert line(TOPICS.ota_report, ts=TS, boot="b", models=[model]).endswith("fights: nothing runs, idle")
    said = line(TOPICS.ota_desired, campaign="spring", wave=2)
    assert said.endswith("hint   hall/n1  look for updates: campaign spring, wave 2")


def test_a_hint_that_is_none_is_noise():
    (record,) = Reader().read(TOPICS.ota_desired, b'{"url": "http://evil"}')
    assert record.kind == "noise"


def test_an_answer_names_its_command():
    assert line(TOPICS.response("reload"), id="a", ok=True).endswith("reload done")
    refused = line(TOPICS.response("reload"), id="a", ok=False, reason="busy", error="later")
    assert refused.endswith("reload refused, busy: later")


def test_a_topic_that_nobody_knows_is_noise():
    (record,) = Reader().read(f"{TOPICS.state}/else", b"{}")
    assert record.kind == "noise"


def test_a_plain_picture_is_not_taken_for_that_of_an_event(tmp_path):
    (record,) = Reader(tmp_path).read(TOPICS.snapshot("door"), b"\xff\xd8")
    assert (record.kind, record.data["path"]) == ("picture", None)
