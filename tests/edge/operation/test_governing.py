from __future__ import annotations

from types import SimpleNamespace

import pytest

from vedette_edge.config import GovernorConfig
from vedette_edge.metrics import Durations
from vedette_edge.operation.governing import Governing
from vedette_edge.operation.overview import Overview, Parts
from vedette_edge.operation.sensors import MemorySensors, Reading

HOT = Reading(temperature_c=95.0)


@pytest.fixture
def world():
    """Sensors and cameras that a test sets, and what was told."""
    world = SimpleNamespace(sensors=MemorySensors(), cameras={"door": 60, "gate": 40}, told=[])
    link = SimpleNamespace(latency=Durations(), connected=False)
    parts = Parts("hall", "node-1", "boot", "b:1", dict, list, list, lambda: 0, link)
    world.overview = Overview(parts)
    world.governing = Governing(
        GovernorConfig(rise=2.0, fall=10.0),
        world.sensors,
        world.overview,
        priorities=lambda: world.cameras,
        on_step=lambda step, state: world.told.append((step.number, state.paused)),
    )
    return world


def test_the_first_step_is_told_and_then_each_change_alone(world):
    for second in range(10):
        world.governing.tick(float(second))
    assert world.told == [(0, ())]
    world.sensors.reading = HOT
    for second in range(10, 20):
        world.governing.tick(float(second))
    assert world.told == [(0, ()), (6, ("door", "gate"))]
    assert world.overview.status().governor.name == "all-paused"


def test_the_sensors_are_looked_at_every_two_seconds(world):
    world.governing.tick(0.0)
    world.sensors.reading = HOT
    world.governing.tick(1.9)
    assert world.overview.metrics().temperature_c is None
    world.governing.tick(2.0)
    assert world.overview.metrics().temperature_c == 95.0


def test_a_camera_that_comes_while_some_are_paused_is_told(world):
    world.sensors.reading = Reading(temperature_c=80.0)
    for second in range(0, 40, 2):
        world.governing.tick(float(second))
    assert world.told[-1] == (5, ("gate",))
    world.cameras = {"door": 60, "gate": 40, "roof": 10, "yard": 50}
    world.governing.tick(40.0)
    assert world.told[-1] == (5, ("roof", "gate"))


def test_switched_off_it_tells_that_nothing_is_held_back(world):
    world.sensors.reading = HOT
    world.governing.tick(0.0)
    world.governing.configure(GovernorConfig(enabled=False))
    world.governing.tick(2.0)
    assert world.told == [(6, ("door", "gate")), (0, ())]
