"""A real agent with simulated sensors."""

from __future__ import annotations

import threading

from edge_helpers import Listener, write_config, write_video

from vedette_edge.agent import Agent, broker_of
from vedette_edge.config import load_config
from vedette_edge.engine import load_models
from vedette_edge.operation.sensors import MemorySensors, Reading
from vedette_edge.publish.outbox import Outbox


def test_the_step_of_the_governor_is_published_and_falls_when_the_device_cools(
    tmp_path, shared_bundle, broker_port
):
    video = write_video(tmp_path / "long.mp4", (120, False))
    cameras = [{"id": name, "source": {"type": "file", "path": str(video)}} for name in ("door", "gate")]
    limits = {"hot_celsius": 90.0, "fall": 0.5}
    path = write_config(
        tmp_path / "c.yaml", shared_bundle, video, broker_port, cameras=cameras, governor=limits
    )
    config = load_config(path)
    sensors = MemorySensors(Reading(temperature_c=95.0))
    outbox = Outbox(config.state_dir / "outbox.db", gap_topic="gap")
    agent = Agent(config, load_models(config), outbox, broker_of(config.mqtt), path=path, sensors=sensors)
    thread = threading.Thread(target=agent.run)
    with Listener(broker_port) as listener:
        thread.start()
        hot = listener.wait_for("governor", lambda state: state["step"] == 6)
        sensors.reading = Reading(temperature_c=40.0)
        cooler = listener.wait_for("governor", lambda state: state["step"] == 5)
        agent.stop()
        thread.join(20)
        metrics = listener.wait_for("metrics")
    outbox.close()
    assert (hot["name"], hot["paused"]) == ("all-paused", ["door", "gate"])
    assert hot["reason"] == "95.0 degrees Celsius"
    assert cooler["paused"] == ["gate"]
    assert (metrics["temperature_c"], metrics["governor"]) == (40.0, 5)
