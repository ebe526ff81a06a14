"""The real `edge-agent` with streams and with single pictures, against a real broker."""

from __future__ import annotations

import json

import pytest
from edge_helpers import Listener, run_agent_process, write_config
from judge_helpers import write_picture_bundle

from vedette_edge.topics import parse_event


@pytest.fixture
def run(tmp_path, flash_video, broker_port):
    """Runs the agent on a video that flashes once; returns its scores, and its events."""

    def run(bundle, **model):
        config = write_config(tmp_path / "c.yaml", bundle, flash_video, broker_port)
        values = config.read_text().replace(f"bundle: {bundle}\n", "")
        models = {"main": {"bundle": str(bundle)} | model}
        config.write_text(f"{values}models: {json.dumps(models)}\n")
        scores = tmp_path / "scores.jsonl"
        with Listener(broker_port) as listener:
            result = run_agent_process("run", "--config", config, "--scores", scores)
            assert result.returncode == 0, result.stderr
            listener.wait_for("state", lambda payload: payload["state"] == "disconnected")
            events = [parse_event(one.payload) for one in listener.of("events")]
        return [json.loads(line) for line in scores.read_text().splitlines()], events

    return run


def told(events):
    """Return what of events is the same in each run."""
    return [(one.type, one.label, one.position, one.start_position, one.end_position) for one in events]


def test_an_agent_that_runs_a_stream_says_what_one_that_runs_clips_says(run, three):
    (scores, events), (of_clips, events_of_clips) = run(three, mode="stream"), run(three, mode="clip")
    assert [event.type for event in events] == ["new", "update", "end"]
    assert told(events) == told(events_of_clips)
    assert len(scores) == len(of_clips) > 20
    for one, other in zip(scores, of_clips, strict=True):
        assert (one["start"], one["end"]) == (other["start"], other["end"])
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)


def test_an_agent_that_looks_for_anomalies_judges_a_picture_every_so_often(run, tmp_path):
    scores, events = run(write_picture_bundle(tmp_path / "pictures"), trigger={"every": 0.5})
    assert [line["middle"] for line in scores] == pytest.approx([0.5 * n for n in range(14)], abs=0.04)
    assert {line["start"] == line["end"] for line in scores} == {True}
    assert (events[0].type, events[-1].type) == ("new", "end")
    # Bright from 2 s to 5 s.
    assert events[0].position == pytest.approx(2.0, abs=0.04)
    assert events[-1].end_position == pytest.approx(5.0, abs=0.04)
