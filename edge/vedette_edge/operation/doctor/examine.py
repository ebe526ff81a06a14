"""All checks, in the order in which a person would look."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from vedette_edge.boards import detect, load_profiles, read_facts
from vedette_edge.config import AgentConfig, GovernorConfig
from vedette_edge.machine import cores, cpu_name
from vedette_edge.operation.doctor import broker, cameras, clock, hardware, models, places
from vedette_edge.operation.doctor.finding import Check, Finding, carried_out
from vedette_edge.operation.sensors import Sensors, SystemSensors
from vedette_edge.operation.status import Status
from vedette_edge.ota.bundles import resolved
from vedette_edge.publish.wire import Broker
from vedette_edge.topics import Topics

__all__ = ["examine"]


def examine(
    config: AgentConfig | None,
    where: Broker | None,
    running: Status | None,
    sensors: Sensors | None = None,
) -> Iterator[Finding]:
    """Yield what is found, as it is found.

    Args:
        config: the configuration; None: only the device is looked at.
        where: its broker.
        running: the agent's own status where it runs: what it holds is then asked of it, not opened again.
        sensors: of the device.
    """
    reading = (sensors or SystemSensors()).read()
    facts = read_facts()
    governor = config.governor if config else GovernorConfig()
    yield from carried_out(
        [
            ("user", lambda: places.user(os.geteuid())),
            ("board", lambda: hardware.board(facts, detect(facts, load_profiles().values()))),
            (
                "processor",
                lambda: hardware.processor(cpu_name(), cores(), platform.machine(), hardware.cpu_flags()),
            ),
            ("memory", lambda: hardware.memory(reading)),
            ("temperature", lambda: hardware.temperature(reading, governor)),
            ("clock", clock.clock),
            ("runtimes", models.runtimes),
        ]
    )
    if config is not None and where is not None:
        yield from carried_out(_of_config(config, where, running))


def _of_config(config: AgentConfig, where: Broker, running: Status | None) -> Iterator[Check]:
    yield "state_dir", partial(places.state_directory, config.state_dir)
    for path in _credentials(config):
        yield f"credential {path}", partial(places.credential, path)
    yield "disk", partial(places.disk_space, config.state_dir, config.outbox.max_bytes)
    if config.clips.directory is not None:
        yield "disk", partial(places.disk_space, config.clips.directory, config.clips.max_bytes)
    yield "sync", partial(places.sync, config.state_dir)
    for name in config.every_model:
        yield f"model {name}", partial(_model, config, name)
    if running is not None:
        yield from _of_running(running)
        return
    if config.prometheus.enabled:
        yield "port", partial(places.port, config.prometheus.host, config.prometheus.port)
    for camera in config.cameras:
        device = camera.source.model_dump().get("device")
        if str(device).startswith("/dev/"):
            yield f"device {device}", partial(cameras.device, Path(str(device)))
        yield f"camera {camera.id}", partial(cameras.camera, camera)
    yield "broker", partial(broker.broker, where, Topics(config.site, config.node))


def _model(config: AgentConfig, name: str) -> Iterator[Finding]:
    return models.model(name, resolved(config).every_model[name])


def _of_running(running: Status) -> Iterator[Check]:
    for state in running.cameras:
        yield f"camera {state.id}", partial(cameras.camera_in_use, state)
    yield "broker", partial(broker.broker_in_use, running.broker)


def _credentials(config: AgentConfig) -> list[Path]:
    mqtt = config.mqtt
    found = [mqtt.password_file, mqtt.tls.key_file if mqtt.tls else None]
    found += [camera.source.model_dump().get("password_file") for camera in config.cameras]
    return [path for path in found if path is not None]
