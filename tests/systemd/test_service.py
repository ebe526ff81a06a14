"""The service on a device with a real systemd, from its installation to its removal."""

from __future__ import annotations

import json
import time

import pytest
import rtsp_server
from container import Service
from edge_helpers import wait_until
from sandbox_probe import FORBIDDEN, NEEDED

from vedette_edge.boards import load_profiles

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

AGENT = "/opt/vedette/bin/edge-agent"
CONFIG = "/etc/edge-agent/edge-agent.yaml"
PROBE = ("/opt/vedette/bin/python", "/srv/vedette/helpers/sandbox_probe.py")
KEYS = "/root/keys/control-room"
WATCH = (
    *(
        AGENT,
        "watch",
        "--json",
        "--broker",
        "localhost:8883",
        "--protocol",
        "5",
        "--ca-file",
        f"{KEYS}/ca.pem",
    ),
    *("--cert-file", f"{KEYS}/control-room.pem", "--key-file", f"{KEYS}/control-room.key"),
)


def status(device):
    return json.loads(device.run(AGENT, "status", "--json").stdout)


def cameras(device):
    return {one["id"]: one for one in status(device)["cameras"]}


def children(device):
    return device.answer("pgrep", "--uid", "vedette").split()


def test_it_is_watched_and_restarted_and_runs_as_its_own_user(device, service):
    assert (service.ActiveState, service.Type, service.Restart) == ("active", "notify", "always")
    assert service.WatchdogUSec == "30s"
    assert service.StatusText == f"watching {len(cameras(device))} camera(s)"
    users = device.run("ps", "--no-headers", "-o", "user=", "--pid", service.MainPID).stdout.split()
    assert users == ["vedette"]


@pytest.mark.usefixtures("service")
def test_its_status_is_there_for_root_and_for_itself_alone(device):
    wait_until(lambda: cameras(device)["door"]["status"] == "online", 20, "the camera")
    assert status(device)["broker"] == {"address": "localhost:8883", "connected": True}
    device.run("runuser", "-u", "vedette", "--", AGENT, "status", "--once")
    refused = device.run("runuser", "-u", "nobody", "--", AGENT, "status", "--once", check=False)
    assert refused.returncode == 1


@pytest.mark.usefixtures("service")
def test_the_doctor_finds_nothing_that_must_be_mended(device):
    found = device.run("runuser", "-u", "vedette", "--", AGENT, "doctor", "--json", "--config", CONFIG).stdout
    findings = [json.loads(line) for line in found.splitlines()]
    assert not [one for one in findings if one["level"] == "fail"]
    assert [one for one in findings if one["subject"] == "broker" and "the running agent" in one["text"]]


@pytest.mark.skipif(bool(rtsp_server.why_absent()), reason=rtsp_server.why_absent())
@pytest.mark.usefixtures("service")
def test_a_network_camera_is_seen_from_within_the_sandbox(device):
    wait_until(lambda: cameras(device)["gate"]["status"] == "online", 30, "the camera")


@pytest.mark.usefixtures("service")
def test_events_reach_the_control_room_by_tls(device):
    heard = device.run(*WATCH, "--count", 1, "--timeout", 30).stdout
    event = json.loads(heard.splitlines()[-1])
    assert (event["topic"], event["payload"]["label"]) == ("vedette/v1/hall/node-1/cam/door/events", "bright")


@pytest.mark.usefixtures("service")
def test_nothing_is_told_to_the_maker_of_the_runtime(device):
    assert device.answer("find", "/var/lib/edge-agent", "-name", "*onnxruntime*") == ""


def test_a_reload_changes_a_threshold_while_it_watches(device, service):
    def events():
        return status(device)["metrics"]["events"]

    wait_until(lambda: events() > 0, 20, "an event")
    before, pid, restarts = device.run("cat", CONFIG).stdout, service.MainPID, service.NRestarts
    unreached = "door.mp4}\n    decision: {on_threshold: 0.99999, off_threshold: 0.9999}"
    try:
        device.write(CONFIG, before.replace("door.mp4}", unreached))
        device.run("systemctl", "reload", "edge-agent")
        # An event of before is over in the dark seconds that follow.
        time.sleep(6)
        calm = events()
        time.sleep(6)
        assert events() == calm
    finally:
        device.write(CONFIG, before)
        device.run("systemctl", "reload", "edge-agent")
    wait_until(lambda: events() > calm, 20, "an event")
    assert (service.MainPID, service.NRestarts) == (pid, restarts)


def test_killed_it_comes_back(device, service):
    pid = service.MainPID
    device.run("kill", "-KILL", pid)
    wait_until(lambda: service.MainPID not in ("0", pid), 15, "the restart")
    service.wait_for("active")
    wait_until(lambda: cameras(device)["door"]["status"] == "online", 20, "the camera")


def test_hung_it_is_killed_with_its_children_and_comes_back(device, service, drop_in):
    drop_in("WatchdogSec=4")
    time.sleep(10)
    assert service.NRestarts == "0"
    pid = service.MainPID
    before = {pid, *children(device)}
    device.run("kill", "-STOP", pid)
    wait_until(lambda: service.MainPID not in ("0", pid), 30, "the restart")
    service.wait_for("active")
    assert "Watchdog timeout" in device.log()
    assert not before & set(children(device))


def test_a_stop_ends_in_time_though_the_broker_is_away(device, service):
    device.run("systemctl", "stop", "mosquitto")
    wait_until(lambda: not status(device)["broker"]["connected"], 20, "the loss")
    # An event begins every five seconds.
    wait_until(lambda: status(device)["metrics"]["outbox"] > 0, 30, "a message that waits")
    begun = time.monotonic()
    device.run("systemctl", "stop", "edge-agent")
    assert time.monotonic() - begun < 25
    assert (service.Result, service.ExecMainStatus) == ("success", "0")
    assert children(device) == []


@pytest.mark.usefixtures("service")
def test_what_waited_is_delivered_after_the_next_start(device):
    wait_until(lambda: status(device)["metrics"]["outbox"] == 0, 30, "the delivery")


@pytest.mark.usefixtures("service")
def test_a_password_that_only_root_may_read_reaches_it(device, drop_in):
    before = device.run("cat", CONFIG).stdout
    device.write("/etc/edge-agent/mqtt-password", "secret")
    device.run("chmod", "600", "/etc/edge-agent/mqtt-password")
    credential = "/run/credentials/edge-agent.service/mqtt-password"
    device.write(CONFIG, before.replace("mqtt:", f"mqtt:\n  username: node-1\n  password_file: {credential}"))
    try:
        drop_in("LoadCredential=mqtt-password:/etc/edge-agent/mqtt-password")
        wait_until(lambda: status(device)["broker"]["connected"], 20, "the connection")
    finally:
        device.write(CONFIG, before)


@pytest.fixture(scope="module")
def probed(device):
    """What the probe was refused: as part of the service, and as root outside of it."""
    device.write("/home/owner/letter", "private")
    device.write("/tmp/of-others", "private")
    device.write(
        "/etc/systemd/system/edge-agent.service.d/90-probe.conf",
        f"[Service]\nExecStartPost={' '.join(PROBE)} /var/lib/edge-agent/probe.json\n",
    )
    device.run("systemctl", "daemon-reload")
    device.run("systemctl", "restart", "edge-agent")
    inside = json.loads(device.run("cat", "/var/lib/edge-agent/probe.json").stdout)
    device.run("rm", "/etc/systemd/system/edge-agent.service.d/90-probe.conf")
    device.run("systemctl", "daemon-reload")
    device.run(*PROBE, "/tmp/probe.json")
    return inside, json.loads(device.run("cat", "/tmp/probe.json").stdout)


@pytest.mark.parametrize("act", FORBIDDEN)
def test_the_sandbox_does_not_let_it(act, probed):
    inside, outside = probed
    assert outside[act] == "", "it is not the sandbox that forbids it"
    assert inside[act] != ""


@pytest.mark.parametrize("act", NEEDED)
def test_the_sandbox_lets_it(act, probed):
    inside, _ = probed
    assert inside[act] == ""


def test_it_comes_back_after_a_boot(device, service):
    device.power_off()
    device.boot()
    service.wait_for("active")
    wait_until(lambda: status(device)["broker"]["connected"], 30, "the connection")


@pytest.mark.parametrize("board", load_profiles())
def test_the_unit_of_a_board_starts(board, device, service):
    device.run("systemctl", "stop", "edge-agent")
    device.run(AGENT, "install", "--board", board, "--config", CONFIG)
    try:
        service.wait_for("active", 20)
        assert service.NRestarts == "0"
    finally:
        device.run("rm", "-rf", "/etc/systemd/system/edge-agent.service.d/50-board.conf")
        device.run("systemctl", "daemon-reload")
        device.run("systemctl", "stop", "edge-agent")


@pytest.mark.usefixtures("service")
def test_uninstalled_it_leaves_what_its_owner_wrote_until_told_to_purge(device):
    device.run(AGENT, "uninstall")
    assert children(device) == []
    assert "vedette" in device.run("getent", "passwd", "vedette").stdout
    assert Service(device).LoadState == "not-found"
    assert places(device) == ["/etc/edge-agent", CONFIG, "/var/lib/edge-agent"]
    device.run(AGENT, "uninstall", "--purge")
    assert places(device) == []


def places(device):
    return device.answer("find", "/etc", "/run", "/var/lib", "-name", "*edge-agent*").split()
