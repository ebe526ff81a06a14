"""`edge-agent status` and `doctor` beside a real agent."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import urllib.request

import pytest
import yaml
from edge_helpers import (
    Listener,
    agent_command,
    agent_process,
    free_port,
    run_agent_process,
    wait_until,
    write_config,
    write_video,
)


@pytest.fixture
def config(tmp_path, shared_bundle, broker_port):
    # Far longer than a test takes, however busy the machine is: the agent must not end by itself.
    video = write_video(tmp_path / "flash.mp4", (1, False), (3, True), (240, False))
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    return write_config(
        tmp_path / "c.yaml",
        shared_bundle,
        video,
        broker_port,
        cameras=[{"id": "door", "source": {"type": "file", "path": str(video)}}],
        prometheus={"enabled": True, "port": free_port()},
        governor={"warm_celsius": 149.0, "hot_celsius": 150.0, "load": 0.0},
    )


def test_status_and_doctor_tell_of_a_running_agent(config, tmp_path, broker_port):
    with Listener(broker_port) as listener, agent_process("run", "--config", config) as agent:
        governor = listener.wait_for("governor")
        listener.wait_for("events")
        table = run_agent_process("status", "--config", config)
        assert table.returncode == 0, table.stderr
        assert table.stdout.startswith("hall/node-1 ")
        assert "door    online" in table.stdout
        told = json.loads(run_agent_process("status", "--config", config, "--json").stdout)
        assert told["broker"]["connected"]
        assert told["cameras"][0]["last_event"]["label"] == "bright"
        doctor = run_agent_process("doctor", "--config", config)
        assert doctor.returncode == 0, doctor.stdout + doctor.stderr
        assert "the running agent is connected" in doctor.stdout
        port = told_port(config)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            assert b'vedette_camera_frames_total{camera="door"}' in answer.read()
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(20) == 0
        metrics = listener.wait_for("metrics")
    assert (governor["step"], governor["name"]) == (0, "normal")
    assert metrics["queue_ms"]["count"] > 0
    assert metrics["decide_ms"]["count"] == metrics["windows"]
    assert metrics["models"][0]["inference_ms"]["count"] == metrics["windows"]
    assert metrics["rss_total_bytes"] > 0
    assert not (tmp_path / "state" / "status.sock").exists()


def told_port(config):
    return yaml.safe_load(config.read_text())["prometheus"]["port"]


def test_without_an_agent_status_says_so(config):
    result = run_agent_process("status", "--config", config)
    assert result.returncode == 1
    assert "no agent runs here" in result.stderr


def test_on_a_terminal_the_table_renews_itself_until_the_agent_ends(config):
    with agent_process("run", "--config", config) as agent:
        wait_until(lambda: run_agent_process("status", "--config", config).returncode == 0, 20, "the agent")
        ours, theirs = pty.openpty()
        watcher = subprocess.Popen(
            agent_command("status", "--config", config), stdout=theirs, stderr=subprocess.PIPE, text=True
        )
        os.close(theirs)
        shown = b""
        while shown.count(b"\x1b[H") < 3:
            shown += os.read(ours, 10_000)
        agent.terminate()
        assert agent.wait(20) == 0
        drain(ours)
        assert "no agent runs here" in watcher.communicate(timeout=20)[1]
        assert watcher.returncode == 1
    assert b"\x1b[32monline" in shown


def drain(terminal):
    """Read until the other side has closed."""
    try:
        while os.read(terminal, 10_000):
            pass
    except OSError:
        os.close(terminal)


def test_doctor_fails_where_something_must_be_mended(config):
    config.write_text(config.read_text().replace("flash.mp4", "gone.mp4"))
    result = run_agent_process("doctor", "--config", config, "--json")
    assert result.returncode == 1
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["subject"] for one in found if one["level"] == "fail"] == ["camera door"]
    assert "1 thing(s) must be mended" in result.stderr


def test_doctor_of_a_wrong_configuration_still_looks_at_the_device(tmp_path):
    (tmp_path / "c.yaml").write_text("site: [")
    result = run_agent_process("doctor", "--config", tmp_path / "c.yaml")
    assert result.returncode == 1
    assert result.stdout.startswith("fail  configuration: ")
    assert "runtimes" in result.stdout


def test_a_port_that_is_taken_ends_the_start_with_a_sentence(config):
    with socket.create_server(("127.0.0.1", told_port(config))):
        result = run_agent_process("run", "--config", config)
    assert result.returncode == 2
    assert "prometheus: cannot listen at" in result.stderr
