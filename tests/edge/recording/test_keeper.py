from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
from edge_helpers import Listener, run_agent_process, wait_until, write_config
from recording_helpers import TOPICS

from vedette_edge.config import AgentConfig
from vedette_edge.errors import ConfigError
from vedette_edge.ids import new_ulid
from vedette_edge.privacy import Clear
from vedette_edge.recording import Keeper
from vedette_edge.recording.record import ClipRecord
from vedette_edge.topics import parse_event
from vedette_edge.video import read_frames


def config(privacy=None, **changes):
    camera = {"id": "door", "source": {"type": "file", "path": "x"}, "privacy": privacy or {}}
    values = {"site": "hall", "node": "n1", "bundle": "bundle", "cameras": [camera]} | changes
    return AgentConfig.model_validate_json(json.dumps(values))


def end(keeper):
    keeper.stop()
    wait_until(lambda: keeper.finished, what="the keeper's end")


def test_by_default_nothing_is_kept_nor_hidden():
    given = config()
    keeper = Keeper(given, TOPICS)
    (only,) = keeper.recorders(given.cameras[0])
    assert keeper.latest == {"door": only}
    assert isinstance(keeper.redactor(given.cameras[0]), Clear)
    keeper.keep([])
    keeper.stop()
    assert keeper.finished
    assert keeper.dropped == 0


def test_what_a_kill_left_is_gone_at_the_start(tmp_path):
    left = tmp_path / f".door-{new_ulid()}.webm.7.tmp"
    left.touch()
    given = config(clips={"directory": str(tmp_path)}, snapshots={"directory": str(tmp_path)})
    keeper = Keeper(given, TOPICS)
    assert len(keeper.recorders(given.cameras[0])) == 2
    end(keeper)
    assert not left.exists()


def test_a_detector_that_cannot_be_used_stops_the_start(tmp_path):
    blur = {"blur": {"model": str(tmp_path / "missing.onnx"), "kind": "fastestdet"}}
    given = config(blur)
    with pytest.raises(ConfigError, match=r"missing\.onnx: cannot read the detector"):
        Keeper(given, TOPICS).redactor(given.cameras[0])


@pytest.mark.realdata
def test_cameras_with_the_same_settings_share_a_detector():
    weights = Path(__file__).parents[4] / "shared" / "data" / "weights" / "fastestdet" / "FastestDet.onnx"
    if not weights.exists():
        pytest.skip(f"needs {weights}")
    blur = {"blur": {"model": str(weights), "kind": "fastestdet"}}
    given = config(blur)
    keeper = Keeper(given, TOPICS)
    other = given.cameras[0].model_copy(update={"id": "gate"})
    assert keeper.redactor(given.cameras[0]) is keeper.redactor(other)
    bolder = config({"blur": blur["blur"] | {"labels": ["person", "dog"]}}).cameras[0]
    assert keeper.redactor(bolder) is not keeper.redactor(other)


def test_the_agent_keeps_clips_and_webp_pictures(tmp_path, shared_bundle, flash_video, broker_port):
    path = write_config(
        tmp_path / "c.yaml",
        shared_bundle,
        flash_video,
        broker_port,
        snapshots={"directory": "pictures", "format": "webp"},
        clips={"directory": "clips", "before": 1.0, "after": 1.0},
    )
    with Listener(broker_port) as listener:
        result = run_agent_process("run", "--config", path)
        assert result.returncode == 0, result.stderr
        listener.wait_for("state", lambda payload: payload["state"] == "disconnected")
        events = [parse_event(one.payload) for one in listener.of("events")]
        assert all(one.payload[8:12] == b"WEBP" for one in listener.of("heatmap"))
    (video,) = tmp_path.glob("clips/*.webm")
    assert video.name == f"door-{events[0].id}.webm"
    record = ClipRecord.model_validate_json(video.with_suffix(".json").read_bytes())
    assert [(one.id, one.end_time) for one in record.events] == [(events[0].id, events[-1].end_time)]
    frames = list(read_frames(video))
    assert len(frames) == record.frames
    assert record.end_time - record.start_time == pytest.approx(frames[-1].time, abs=2e-3)
    # Dark for a second before the event, bright in its middle.
    assert frames[0].image.mean() < 10 < frames[len(frames) // 2].image.mean()
    (picture,) = tmp_path.glob("pictures/*")
    assert picture.suffix == ".webp"
    assert cv2.imread(str(picture)) is not None
