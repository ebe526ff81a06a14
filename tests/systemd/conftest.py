"""A device on which the service is installed as its guides say, with a broker and cameras beside it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import rtsp_server
from container import Container, Service, image, why_absent
from edge_helpers import MOSQUITTO, write_bundle, write_video

ROOT = Path(__file__).parents[2]
HELPERS = ROOT / "tests" / "helpers"
AGENT = "/opt/vedette/bin/edge-agent"
BESIDE = Path("srv/vedette")
INSTALL = """
python3 -m venv /opt/vedette
cd /srv/vedette
/opt/vedette/bin/pip install --quiet --constraint constraints.txt "$(echo ./*.whl)[onnx]"
"""
CONFIG = """\
site: hall
node: node-1
bundle: /srv/vedette/bundle
metrics_interval: 2
cameras:
  - id: door
    source: {type: file, path: /srv/vedette/door.mp4}
"""
NETWORK_CAMERA = """\
  - id: gate
    source: {type: rtsp, url: "rtsp://127.0.0.1:8554/ball"}
"""


@pytest.fixture(scope="session")
def container(tmp_path_factory):
    """A system that is off, with the wheel and what it asks for in /opt/vedette."""
    if os.environ.get("VEDETTE_SYSTEMD") != "yes":
        pytest.skip("make systemd runs it")
    if why := why_absent():
        pytest.skip(why)
    if not MOSQUITTO.exists():
        pytest.skip(f"Mosquitto is not installed at {MOSQUITTO}")
    try:
        with image(tmp_path_factory.mktemp("device")) as root:
            beside = root / BESIDE
            write_bundle(beside / "bundle")
            write_video(beside / "door.mp4", *[(3, False), (2, True)] * 180)
            shutil.copy(ROOT / "constraints.txt", beside)
            shutil.copytree(HELPERS, beside / "helpers")
            shutil.copytree(ROOT / "firmware-configs/mosquitto", beside / "mosquitto")
            build = [sys.executable, "-m", "build", "--wheel", "--outdir", beside, ROOT]
            subprocess.run(build, check=True, capture_output=True)
            container = Container(root)
            container.prepare(INSTALL)
            yield container
    except OSError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def config():
    """What the device watches, without its broker; a module may have its own."""
    return CONFIG if rtsp_server.why_absent() else CONFIG + NETWORK_CAMERA


@pytest.fixture(scope="module")
def at_last():
    """What a module still has to do before its service starts."""
    return lambda: None


@pytest.fixture(scope="module")
def device(container, config, at_last):
    """A device that is on and watches, with a broker of certificates, and a network camera where possible."""
    try:
        container.boot()
        if NETWORK_CAMERA in config:
            container.run(
                "systemd-run",
                "--unit=camera",
                "/usr/bin/python3",
                "/srv/vedette/helpers/rtsp_server.py",
                8554,
            )
        container.run("rm", "-rf", "/root/keys")
        _broker(container)
        container.run(AGENT, "install")
        given = container.run(
            AGENT, "provision", "node-1", "--authority", "/root/keys", "--broker", "localhost"
        )
        container.write(
            "/etc/edge-agent/edge-agent.yaml", config + re.search(r"^mqtt:.*", given.stdout, re.M | re.S)[0]
        )
        container.run("sh", "-c", "cp /root/keys/node-1/* /etc/edge-agent/keys")
        container.run("systemd-tmpfiles", "--create")
        at_last()
        container.run(AGENT, "check-config", "/etc/edge-agent/edge-agent.yaml")
        container.run("systemctl", "enable", "--now", "edge-agent")
        yield container
    finally:
        container.power_off()


def _broker(container):
    """As docs/boards.md says."""
    container.run(AGENT, "provision", "broker", "--authority", "/root/keys", "--serves", "localhost")
    container.run(AGENT, "provision", "control-room", "--authority", "/root/keys")
    container.run(
        "sh",
        "-euc",
        "mkdir -p /etc/mosquitto/vedette; cd /srv/vedette/mosquitto; cp vedette.conf /etc/mosquitto/conf.d; "
        "cp acl /root/keys/broker/* /etc/mosquitto/vedette; "
        "chown -R mosquitto: /etc/mosquitto/vedette",
    )
    container.run("systemctl", "enable", "mosquitto")
    # It may have come up with the keys of another test.
    container.run("systemctl", "restart", "mosquitto")


@pytest.fixture
def service(device):
    """The service, which runs."""
    device.run("systemctl", "start", "mosquitto", "edge-agent")
    return Service(device)


@pytest.fixture
def drop_in(device):
    """Starts the service anew with settings of a test."""
    path = "/etc/systemd/system/edge-agent.service.d/90-test.conf"

    def write(*lines):
        device.write(path, "\n".join(["[Service]", *lines, ""]))
        device.run("systemctl", "daemon-reload")
        device.run("systemctl", "restart", "edge-agent")

    yield write
    device.run("rm", "-f", path)
    device.run("systemctl", "daemon-reload")
    device.run("systemctl", "restart", "edge-agent")
