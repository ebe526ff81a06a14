"""Fixtures of the edge's tests, and of the tests of its faults."""

from __future__ import annotations

import shutil

import pytest
from edge_helpers import MOSQUITTO, free_port, mosquitto, write_bundle, write_video


@pytest.fixture(scope="session")
def shared_bundle(tmp_path_factory):
    """A bundle that no test may change."""
    return write_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def bundle_dir(shared_bundle, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(shared_bundle, tmp_path / "bundle")


@pytest.fixture(scope="session")
def flash_video(tmp_path_factory):
    """Dark for 2 s, bright for 3 s, dark for 2 s: one event."""
    return write_video(tmp_path_factory.mktemp("video") / "flash.mp4", (2, False), (3, True), (2, False))


@pytest.fixture(scope="session")
def dark_video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("video") / "dark.mp4", (1, False))


@pytest.fixture
def broker_port(tmp_path):
    """A Mosquitto on loopback, fresh for the test."""
    if not MOSQUITTO.exists():
        pytest.skip(f"Mosquitto is not installed at {MOSQUITTO}")
    port = free_port()
    with mosquitto(tmp_path, port):
        yield port
