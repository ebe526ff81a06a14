"""A Mosquitto with the template that we ship: TLS, a certificate for each client, and its access list."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from edge_helpers import MOSQUITTO, free_port, wait_until

from vedette_edge.errors import BrokerError
from vedette_edge.publish.wire import Broker, Opened, Tls, Wire
from vedette_edge.resources import resource


@contextlib.contextmanager
def secure_mosquitto(directory: Path, keys: Path) -> Iterator[tuple[int, Callable[[], str]]]:
    """Run it with our template, which only gets other places and another port; yield its port and its log."""
    if not MOSQUITTO.exists():
        pytest.skip(f"Mosquitto is not installed at {MOSQUITTO}")
    port = free_port()
    text = resource("firmware-configs", "mosquitto", "vedette.conf").read_text()
    acl = directory / "acl"
    acl.write_bytes(resource("firmware-configs", "mosquitto", "acl").read_bytes())
    acl.chmod(0o600)
    places = {
        "listener 8883": f"listener {port} 127.0.0.1",
        "/etc/mosquitto/vedette/acl": acl,
        "/etc/mosquitto/vedette/ca.pem": keys / "ca.pem",
        "/etc/mosquitto/vedette/broker": keys / "broker" / "broker",
        "persistence true": f"persistence true\npersistence_location {directory}/\nuser root",
    }
    for old, new in places.items():
        assert old in text
        text = text.replace(old, str(new))
    (directory / "mosquitto.conf").write_text(text)
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([MOSQUITTO, "-c", directory / "mosquitto.conf"], stderr=log)
        try:
            yield port, lambda: (directory / "log").read_text()
        finally:
            process.terminate()
            process.wait()


def broker_with_keys(keys: Path, port: int, name: str, protocol: str = "5") -> Broker:
    """Return the broker as `name` sees it, with its certificate and key."""
    folder = keys / name
    tls = Tls(folder / "ca.pem", folder / f"{name}.pem", folder / f"{name}.key")
    return Broker("localhost", port, protocol, tls=tls)


def connected(keys: Path, port: int, name: str) -> Wire:
    """Return a connection of `name`, once the broker answers."""
    wires = []

    def attempt() -> bool:
        wire = Wire(broker_with_keys(keys, port, name), f"test-{name}")
        try:
            wire.open()
        except BrokerError:
            return False
        wires.append(wire)
        return True

    wait_until(attempt)
    assert isinstance(wires[0].happened.get(timeout=5), Opened)
    return wires[0]
