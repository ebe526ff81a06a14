"""The real `edge-agent`, as a process, against a real broker."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import signal
import socket
import sqlite3
import subprocess
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from edge_helpers import (
    MOSQUITTO,
    Listener,
    agent_command,
    agent_process,
    edit_manifest,
    entry,
    free_port,
    mosquitto,
    run_agent_process,
    wait_until,
    write_config,
    write_video,
)
from http_camera import HEAD, http_camera, jpeg, part

from vedette_edge.bundle import open_bundle
from vedette_edge.choice import candidates
from vedette_edge.errors import BundleError
from vedette_edge.topics import parse_event


def camera(video, name="door", pace="fast", **changes):
    return {"id": name, "source": {"type": "file", "path": str(video), "pace": pace}} | changes


@pytest.fixture(scope="module")
def long_video(tmp_path_factory):
    """Half a minute that flashes every two seconds."""
    return write_video(tmp_path_factory.mktemp("video") / "long.mp4", *[(1, False), (1, True)] * 15)


def stored_topics(tmp_path):
    database = sqlite3.connect(tmp_path / "state" / "outbox.db")
    topics = [topic for (topic,) in database.execute("SELECT topic FROM outbox ORDER BY id")]
    database.close()
    return topics


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_video_becomes_events_with_pictures(tmp_path, shared_bundle, flash_video, broker_port, protocol):
    config = write_config(
        tmp_path / "c.yaml",
        shared_bundle,
        flash_video,
        broker_port,
        mqtt={"port": broker_port, "host": "127.0.0.1", "protocol": protocol},
        snapshots={"directory": "pictures"},
    )
    with Listener(broker_port) as listener:
        result = run_agent_process("run", "--config", config, "--scores", tmp_path / "scores.jsonl")
        assert result.returncode == 0, result.stderr
        listener.wait_for("state", lambda payload: payload["state"] == "disconnected")
        events = [parse_event(one.payload) for one in listener.of("events")]
        pictures = {hashlib.sha256(one.payload).hexdigest() for one in listener.of("heatmap")}
        assert [event.type for event in events] == ["new", "update", "end"]
        assert {event.picture.sha256 for event in events} == pictures
        assert not any(event.hist for event in events)
        (metrics,) = listener.payloads("metrics")
        statuses = [payload["status"] for payload in listener.payloads("status")]
        birth = listener.wait_for("birth")
    assert statuses[-1] == "offline"
    (model,) = birth["models"]
    assert (model["name"], model["title"], model["variant"]) == ("main", "brightness", "onnx-fp32")
    assert birth["cameras"] == [{"id": "door", "source": "file"}]
    assert (metrics["frames"], metrics["dropped"], metrics["outbox"]) == (175, 0, 0)
    assert (metrics["events"], metrics["publish_ms"]["count"]) == (3, 5)
    assert metrics["rss_bytes"] > 0
    (kept,) = (tmp_path / "pictures").iterdir()
    assert kept.name == f"door-{events[0].id}-bright.jpg"
    scores = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    assert len(scores) == metrics["windows"]
    assert scores[0].keys() == {"camera", "model", "start", "end", "middle", "probabilities"}
    assert scores[0]["probabilities"].keys() == {"calm", "bright"}


def test_zones_rules_and_schedules_of_a_configuration_hold(tmp_path, shared_bundle, flash_video, broker_port):
    corner = [[0.5, 0.5], [1, 0.5], [1, 1], [0.5, 1]]
    zones = {"corner": corner, "sky": [[0, 0], [1, 0], [1, 0.5], [0, 0.5]]}
    tomorrow = (datetime.now(timezone.utc) + timedelta(days=1)).strftime("%a").lower()
    closed = {"time_zone": "UTC", "periods": [{"days": [tomorrow], "start": "12:00", "end": "12:01"}]}
    cameras = [
        camera(flash_video, "door", zones=zones, rules={"bright": {"zones": ["corner"]}}),
        camera(flash_video, "roof", zones=zones, rules={"bright": {"zones": ["sky"]}}),
        camera(flash_video, "shop", schedule=closed),
    ]
    config = write_config(tmp_path / "c.yaml", shared_bundle, flash_video, broker_port, cameras=cameras)
    with Listener(broker_port) as listener:
        result = run_agent_process("run", "--config", config)
        assert result.returncode == 0, result.stderr
        listener.wait_for("state", lambda payload: payload["state"] == "disconnected")
        events = [(event["camera"], event["type"], event["zone"]) for event in listener.payloads("events")]
    assert events == [("door", kind, "corner") for kind in ("new", "update", "end")]


def test_sigterm_ends_events_drains_and_says_goodbye(tmp_path, shared_bundle, long_video, broker_port):
    config = write_config(
        tmp_path / "c.yaml",
        shared_bundle,
        long_video,
        broker_port,
        cameras=[camera(long_video, pace="realtime")],
    )
    with Listener(broker_port) as listener, agent_process("run", "--config", config) as process:
        listener.wait_for("events")
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        listener.wait_for("state", lambda payload: payload["state"] == "disconnected")
        events = [parse_event(one.payload) for one in listener.of("events")]
    assert (events[0].type, events[-1].type) == ("new", "end")
    assert stored_topics(tmp_path) == []


def test_a_broker_that_is_away_keeps_messages_for_the_next_run(tmp_path, shared_bundle, flash_video):
    port = free_port()
    config = write_config(tmp_path / "c.yaml", shared_bundle, flash_video, port, drain_timeout=0.3)
    result = run_agent_process("run", "--config", config)
    assert result.returncode == 1
    (error,) = [line for line in result.stderr.splitlines() if line.startswith("edge-agent: error: ")]
    assert (
        f"did not take 5 message(s) within 0.3 s; they are kept in {tmp_path / 'state' / 'outbox.db'}"
        in error
    )
    assert "sent at the next start" in error
    assert "Traceback" not in result.stderr
    kinds = [topic.rpartition("/")[2] for topic in stored_topics(tmp_path)]
    assert kinds == ["heatmap", "events", "heatmap", "events", "events"]


def test_what_a_killed_agent_left_is_delivered_as_late(tmp_path, shared_bundle, long_video, dark_video):
    if not MOSQUITTO.exists():
        pytest.skip("Mosquitto is not installed")
    port = free_port()
    endless = [camera(long_video, pace="realtime")]
    shown = tmp_path / "shown"
    snapshots = {"directory": str(shown)}
    config = write_config(
        tmp_path / "c.yaml", shared_bundle, long_video, port, cameras=endless, snapshots=snapshots
    )
    with agent_process("run", "--config", config) as process:
        # A picture is shown only after its event was stored.
        wait_until(lambda: list(shown.glob("*.jpg")), what="a stored event")
        process.send_signal(signal.SIGKILL)
        process.wait(5)
    kept = [topic for topic in stored_topics(tmp_path) if topic.endswith("/events")]
    assert kept
    quiet = write_config(tmp_path / "quiet.yaml", shared_bundle, dark_video, port)
    with mosquitto(tmp_path, port), Listener(port) as listener:
        result = run_agent_process("run", "--config", quiet)
        assert result.returncode == 0, result.stderr
        listener.wait_for("state", lambda payload: payload["state"] == "disconnected")
        events = listener.payloads("events")
    assert len(events) >= len(kept)
    ids = {kind: [event["id"] for event in events if event["type"] == kind] for kind in ("new", "end")}
    assert ids["new"] == ids["end"], "what went on when it was killed is ended by the next run"
    assert all(event["hist"] for event in events)
    assert stored_topics(tmp_path) == []


def test_a_killed_agent_is_reported_lost_by_the_broker(tmp_path, shared_bundle, long_video, broker_port):
    config = write_config(
        tmp_path / "c.yaml",
        shared_bundle,
        long_video,
        broker_port,
        cameras=[camera(long_video, pace="realtime")],
    )
    with Listener(broker_port) as listener, agent_process("run", "--config", config) as process:
        birth = listener.wait_for("birth")
        listener.wait_for("state", lambda payload: payload["state"] == "ready")
        process.send_signal(signal.SIGKILL)
        lost = listener.wait_for("state", lambda payload: payload["state"] == "lost")
    assert lost["session"] == birth["session"]


def test_systemd_is_told_and_the_watchdog_is_fed(tmp_path, shared_bundle, long_video, broker_port):
    config = write_config(
        tmp_path / "c.yaml",
        shared_bundle,
        long_video,
        broker_port,
        cameras=[camera(long_video, pace="realtime")],
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(10)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
        with agent_process("run", "--config", config, **environment) as process:
            assert systemd.recv(1000).startswith(b"READY=1")
            assert [systemd.recv(1000) for _ in range(3)] == [b"WATCHDOG=1"] * 3
            process.send_signal(signal.SIGTERM)
            while not (datagram := systemd.recv(1000)).startswith(b"STOPPING=1"):
                assert datagram == b"WATCHDOG=1"
            assert process.wait(15) == 0


def test_a_second_sigterm_does_not_wait_for_the_broker(tmp_path, shared_bundle, long_video):
    cameras = [camera(long_video, pace="realtime")]
    config = write_config(
        tmp_path / "c.yaml", shared_bundle, long_video, free_port(), cameras=cameras, drain_timeout=60,
        snapshots={"directory": "shown"},
    )  # fmt: skip
    with agent_process("run", "--config", config) as process:
        wait_until(lambda: list(tmp_path.glob("shown/*.jpg")), what="a stored event")
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert "will be sent at the next start" in process.stderr.read()
    assert stored_topics(tmp_path)


def test_a_full_disk_for_the_outbox_is_one_sentence(tmp_path, shared_bundle, long_video):
    # The limit is for every file, also for the memory that frames pass through: 48 KiB with this size.
    small = [camera(long_video, capture={"max_side": 64})]
    config = write_config(
        tmp_path / "c.yaml", shared_bundle, long_video, free_port(), drain_timeout=0, cameras=small
    )
    limited = ["bash", "-c", 'ulimit -f 48; exec "$@"', "-", *agent_command("run", "--config", config)]
    # Coverage keeps a file of its own, which the limit would break as well.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE")}
    result = subprocess.run(limited, capture_output=True, text=True, timeout=30, check=False, env=environment)
    assert result.returncode == 1
    assert "cannot use the store of undelivered messages" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_pictures_that_cannot_be_kept_do_not_stop_the_alerts(
    tmp_path, shared_bundle, flash_video, broker_port
):
    (tmp_path / "file").touch()
    snapshots = {"directory": "file/pictures"}
    config = write_config(tmp_path / "c.yaml", shared_bundle, flash_video, broker_port, snapshots=snapshots)
    result = run_agent_process("run", "--config", config)
    assert result.returncode == 0
    assert "cannot keep pictures in" in result.stderr
    assert stored_topics(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"no video"])
def test_an_unreadable_video_is_one_sentence_and_a_status(tmp_path, shared_bundle, broker_port, content):
    video = tmp_path / "bad.mp4"
    video.write_bytes(content)
    config = write_config(tmp_path / "c.yaml", shared_bundle, video, broker_port)
    with Listener(broker_port) as listener:
        result = run_agent_process("run", "--config", config)
        status = listener.wait_for("status")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("edge-agent: error: no camera gave a picture: ")
    assert "bad.mp4" in result.stderr
    assert "Traceback" not in result.stderr
    assert (status["status"], "bad.mp4" in status["reason"]) == ("offline", True)


def test_one_unreadable_video_does_not_stop_the_others(tmp_path, shared_bundle, flash_video, broker_port):
    cameras = [camera(tmp_path / "gone.mp4", "gate"), camera(flash_video)]
    config = write_config(tmp_path / "c.yaml", shared_bundle, flash_video, broker_port, cameras=cameras)
    with Listener(broker_port) as listener:
        result = run_agent_process("run", "--config", config, "--log", "json")
        assert result.returncode == 0, result.stderr
        listener.wait_for("events", lambda payload: payload["type"] == "end")
    logged = [json.loads(line) for line in result.stderr.splitlines()]
    assert any(line["level"] == "error" and "gone.mp4" in line["message"] for line in logged)


def test_a_changed_model_is_refused_before_anything_starts(tmp_path, bundle_dir, flash_video):
    (bundle_dir / "model.onnx").write_bytes(b"another model")
    config = write_config(tmp_path / "c.yaml", bundle_dir, flash_video, free_port())
    result = run_agent_process("run", "--config", config)
    assert result.returncode == 1
    assert "model.onnx is not the file that manifest.json names" in result.stderr
    assert not (tmp_path / "state" / "outbox.db").exists()


def as_anomaly(values):
    values.update(
        task="anomaly",
        anomaly={"threshold": 1.0, "scale": 1.0, "map_low": 0.0, "map_high": 1.0},
        labels=values["labels"][:1],
        outputs={"logits": [1], "heatmap": [1, 1, 1, 1]},
    )


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda values: values.update(min_agent="99.0.0"), "needs agent 99.0.0 or later"),
        (as_anomaly, "single pictures, not on clips of 4 frames"),
    ],
)
def test_a_bundle_that_this_agent_cannot_run_is_refused(bundle_dir, edit, sentence):
    edit_manifest(bundle_dir, edit)
    with pytest.raises(BundleError, match=sentence):
        candidates(open_bundle(bundle_dir), "auto", {})


def test_a_model_that_does_not_prove_itself_is_refused_before_anything_starts(
    tmp_path, bundle_dir, flash_video
):
    np.save(bundle_dir / "golden_logits.npy", np.load(bundle_dir / "golden_logits.npy") + 0.5)
    logits = entry(bundle_dir, "golden_logits.npy")
    edit_manifest(bundle_dir, lambda values: values["golden"].update(logits=logits))
    config = write_config(tmp_path / "c.yaml", bundle_dir, flash_video, free_port())
    result = run_agent_process("run", "--config", config)
    assert result.returncode == 1
    assert "does not give its expected outputs here" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "state" / "outbox.db").exists()


def test_a_bad_configuration_ends_with_2_and_names_the_nearest_key(tmp_path, shared_bundle, flash_video):
    config = write_config(tmp_path / "c.yaml", shared_bundle, flash_video, 1, metrics_intervall=3)
    for command in (("run", "--config", config), ("check-config", config)):
        result = run_agent_process(*command)
        assert result.returncode == 2
        assert "did you mean 'metrics_interval'?" in result.stderr
        assert result.stderr.count("\n") == 1


def test_a_camera_that_does_not_fit_the_model_ends_with_2(tmp_path, shared_bundle, flash_video):
    cameras = [camera(flash_video, labels=["fire"])]
    config = write_config(tmp_path / "c.yaml", shared_bundle, flash_video, 1, cameras=cameras)
    result = run_agent_process("run", "--config", config)
    assert result.returncode == 2
    assert "the model 'brightness' has no fire" in result.stderr


def test_scores_that_cannot_be_written_end_with_2(tmp_path, shared_bundle, flash_video):
    config = write_config(tmp_path / "c.yaml", shared_bundle, flash_video, 1)
    result = run_agent_process("run", "--config", config, "--scores", tmp_path / "no" / "s")
    assert result.returncode == 2
    assert "cannot write the scores" in result.stderr


def test_a_full_disk_for_the_scores_is_one_sentence(tmp_path, shared_bundle, flash_video, broker_port):
    config = write_config(tmp_path / "c.yaml", shared_bundle, flash_video, broker_port)
    result = run_agent_process("run", "--config", config, "--scores", "/dev/full")
    assert result.returncode == 1
    assert "/dev/full: cannot write the scores (No space left on device)" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_a_taken_port_for_the_embedded_broker_is_one_sentence(tmp_path, shared_bundle, flash_video):
    config = write_config(tmp_path / "c.yaml", shared_bundle, flash_video, 1)
    with socket.create_server(("127.0.0.1", 0)) as other:
        where = f"127.0.0.1:{other.getsockname()[1]}"
        result = run_agent_process("run", "--config", config, "--embedded-broker", where)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        f"edge-agent: error: the embedded broker cannot start: {where} is taken; give it another HOST:PORT"
    )
    assert "Traceback" not in result.stderr


def test_a_camera_that_dies_is_told_and_stops_no_other(tmp_path, shared_bundle, long_video, broker_port):
    connections = itertools.count()

    def answer(_request):
        yield HEAD
        for _ in range(10 if next(connections) == 0 else 10_000):
            yield part(jpeg())
            gate.stopping.wait(0.04)
        gate.stopping.wait(30)

    def statuses(name):
        told = [one.payload for one in listener.of("status") if f"/cam/{name}/" in one.topic]
        return [(payload["status"], payload["reason"]) for payload in map(json.loads, told)]

    with http_camera(answer) as gate, Listener(broker_port) as listener:
        quick = {"stall_after": 0.5, "longest_retry": 0.2}
        cameras = [
            {"id": "gate", "source": {"type": "mjpeg", "url": gate.url}, "capture": quick},
            camera(long_video, pace="realtime"),
            camera(long_video, "attic", enabled=False),
        ]
        config = write_config(tmp_path / "c.yaml", shared_bundle, long_video, broker_port, cameras=cameras)
        with agent_process("run", "--config", config, "--log", "json") as process:
            wait_until(lambda: len(statuses("gate")) >= 3, 20, "three statuses of the camera")
            listener.wait_for("events", lambda payload: payload["camera"] == "door")
            process.send_signal(signal.SIGTERM)
            log = process.communicate(timeout=15)[1]
            assert process.returncode == 0, log
        listener.wait_for("state", lambda payload: payload["state"] == "disconnected")
        stalled = ("stalled", "no picture for 0.5 s")
        assert statuses("gate")[:3] == [("online", ""), stalled, ("online", "")]
        assert statuses("gate")[-1] == ("offline", "stopped")
        assert statuses("attic") == [("disabled", "")]
    assert any("camera 'gate': stalled" in json.loads(line)["message"] for line in log.splitlines())
    assert "secret" not in log
