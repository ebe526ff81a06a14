"""What the story plays in: a repository's commands, a camera, a broker, a control room, two devices."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape

from ota_demo.camera import Camera
from ota_demo.device import FLEET, MODEL, Device
from ota_demo.lamps import Network, write_bundle
from ota_demo.repository import Served
from ota_demo.story import PATIENCE, Story
from vedette_edge.broker import EmbeddedBroker

__all__ = ["FIRST", "PASSPHRASE", "World", "add_release", "begin", "roll_out"]

FIRST = "device-1"
PASSPHRASE = ("--passphrase-file", "passphrase")
SHADOW, TRIAL = 6.0, 6.0  # seconds; in the field minutes
P95_MS = 10.0  # that a call may take; a good one takes a tenth of a millisecond
_OURS = ("--fleet", FLEET, "--model", MODEL)
_MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
_PROTOCOL = "3.1.1" if _MOSQUITTO is None else "5"


@dataclass(frozen=True)
class World:
    """All that runs."""

    story: Story
    camera: Camera
    devices: tuple[Device, Device]
    port: int

    def sent(self) -> dict[str, int]:
        """Return how many bytes each device was sent so far, by its name."""
        return {device.name: device.web.traffic.bytes for device in self.devices}


def add_release(story: Story, number: int, network: Network, notes: str) -> Path:
    """Write a network as a bundle, and add it to the repository; return the bundle."""
    bundle = write_bundle(story.out / "bundles" / str(number), network, number)
    words = (bundle.relative_to(story.out), "--repository", "site", *_OURS, "--p95-ms", P95_MS)
    story.run("vedette-convert", "release", "add", *words, "--notes", notes)
    return bundle


def roll_out(world: World, waves: tuple[str, ...]) -> int:
    """Start the rollout of the current release, and drive it by what devices report; return how it ended.

    Raises:
        TimeoutError: when it comes to no end.
    """
    story, keys = world.story, ("--keys", "keys", *PASSPHRASE)
    release = ("vedette-convert", "release", "rollout")
    bounds = ("--success", 1, "--abort-errors", 0.3)
    story.run(*release, "start", "site", *_OURS, *waves, *bounds, *keys)
    address = ("--broker", f"127.0.0.1:{world.port}", "--interval", 0.5)
    words = story.show(*release, "run", "site", *_OURS, *address, *keys, after=" &")
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=story.out
    )
    assert process.stdout is not None
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    try:
        for line in process.stdout:
            story.say("rollout", escape(line.strip()))
        code = process.wait()
    finally:
        watchdog.cancel()
        process.kill()
        process.stdout.close()
    if code < 0:
        raise TimeoutError(f"the rollout came to no end within {PATIENCE:g} s")
    return code


def begin(story: Story, stack: contextlib.ExitStack) -> World:
    """Start all but the devices; what is started ends with `stack`."""
    camera = stack.enter_context(Camera())
    port = stack.enter_context(_broker(story))
    stack.enter_context(_control_room(story, port))
    first, second = (
        _device(story, stack, f"device-{number}", shadow, camera, port)
        for number, shadow in enumerate((SHADOW, 0.0), 1)
    )
    return World(story, camera, (first, second), port)


def _device(
    story: Story, stack: contextlib.ExitStack, name: str, shadow: float, camera: Camera, port: int
) -> Device:
    web = Served(story.out / "site")
    stack.callback(web.close)
    device = Device(name, story.out / name, web, story.say, {"shadow": shadow, "trial": TRIAL})
    device.configure(story.out / "site" / "root.json", camera.url, port, _PROTOCOL)
    stack.callback(device.stop)
    story.say(name, f"asks {web.url}; a shadow takes {shadow:g} s, a trial {TRIAL:g} s")
    return device


@contextlib.contextmanager
def _broker(story: Story) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    if _MOSQUITTO is None:
        with EmbeddedBroker("127.0.0.1", port):
            story.say("broker", f"127.0.0.1:{port}, the embedded one, as there is no Mosquitto")
            yield port
        return
    config = story.out / "mosquitto.conf"
    # Started by root, Mosquitto would become another user.
    lines = (
        f"user {getpass.getuser()}",
        f"listener {port} 127.0.0.1",
        "allow_anonymous true",
        "log_dest none",
    )
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    process = subprocess.Popen([_MOSQUITTO, "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        story.wait(lambda: _answers(port), "Mosquitto's start")
        story.say("broker", f"127.0.0.1:{port}, Mosquitto")
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def _control_room(story: Story, port: int) -> Iterator[None]:
    address = ("--broker", f"127.0.0.1:{port}")
    words = story.show(
        "edge-agent", "watch", *address, "--json", "--save", "pictures", "--wait", 30, "--timeout", 900,
        after=" > alerts.jsonl &",
    )  # fmt: skip
    with (story.out / "alerts.jsonl").open("w") as file:
        process = subprocess.Popen(words, stdout=file, stderr=subprocess.DEVNULL, cwd=story.out)
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)
