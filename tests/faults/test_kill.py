"""kill -9 of the whole agent at random moments: nothing that was told is lost, or told in two ways."""

from __future__ import annotations

import random
import time

import pytest
from audit import Audit, tries
from edge_helpers import Listener, agent_process, write_config, write_video

MANY, FEW = 200, 6


@pytest.fixture(scope="module")
def flicker(tmp_path_factory):
    """A minute in which an event begins every second and a half."""
    parts = [(0.7, False), (0.8, True)] * 40
    return write_video(tmp_path_factory.mktemp("video") / "flicker.mp4", *parts)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_event_is_lost_however_often_the_agent_is_killed(
    broker_port, shared_bundle, flicker, tmp_path, capsys
):
    chance, count = random.Random(7), tries(FEW, MANY)
    config = write_config(
        tmp_path / "agent.yaml",
        shared_bundle,
        flicker,
        broker_port,
        cameras=[{"id": "door", "source": {"type": "file", "path": str(flicker)}}],
    )
    audit = Audit()
    with Listener(broker_port) as listener:
        for _ in range(count):
            with agent_process("run", "--config", config):
                time.sleep(chance.uniform(0.6, 6.0))
        with agent_process("run", "--config", config) as last:
            time.sleep(6)
            last.terminate()
            assert last.wait(30) == 0
        for received in listener.of("events"):
            audit.take(received.topic, received.payload)
    with capsys.disabled():
        print(f"\n{audit.report('kill -9 of the agent', count)}")
    assert len(audit.events) > count
    assert not audit.lost
    assert not audit.contradicted
    assert not audit.misread
    assert not audit.unended
