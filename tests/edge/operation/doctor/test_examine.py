from __future__ import annotations

import pytest
from edge_helpers import free_port, write_config
from operation_helpers import make_status

from vedette_edge.agent import broker_of
from vedette_edge.config import load_config
from vedette_edge.errors import ConfigError
from vedette_edge.operation.doctor import Finding, examine
from vedette_edge.operation.doctor.finding import carried_out, ok
from vedette_edge.operation.sensors import MemorySensors, Reading

SENSORS = MemorySensors(Reading(temperature_c=40.0, free_memory_bytes=2**30))


def subjects(findings, level=None):
    return [one.subject for one in findings if level in (None, one.level)]


def test_without_a_configuration_the_device_alone_is_looked_at():
    found = list(examine(None, None, None, SENSORS))
    assert subjects(found) == ["user", "board", "processor", "memory", "temperature", "clock", "runtimes"]


@pytest.fixture
def config(tmp_path, shared_bundle, flash_video):
    (tmp_path / "secret").write_text("x")
    mqtt = {"host": "127.0.0.1", "username": "u", "password_file": str(tmp_path / "secret")}
    port = free_port()
    path = write_config(
        tmp_path / "c.yaml",
        shared_bundle,
        flash_video,
        port,
        mqtt=mqtt | {"port": port},
        prometheus={"enabled": True, "port": free_port()},
        clips={"directory": str(tmp_path)},
    )
    return load_config(path)


def test_everything_that_a_configuration_names_is_looked_at(config):
    found = list(examine(config, broker_of(config.mqtt), None, SENSORS))
    assert subjects(found)[7:] == [
        "state_dir",
        f"credential {config.mqtt.password_file}",
        "disk",
        "disk",
        "sync",
        "model main",
        f"port {config.prometheus.port}",
        "camera door",
        "broker",
    ]
    assert subjects(found, "fail") == ["broker"]


def test_what_a_running_agent_holds_is_asked_of_it(config):
    found = list(examine(config, broker_of(config.mqtt), make_status(), SENSORS))
    assert subjects(found)[-3:] == ["camera door", "camera gate", "broker"]
    assert subjects(found, "fail") == ["camera gate"]


def test_a_check_that_fails_itself_does_not_keep_the_others():
    def defect():
        raise RuntimeError("oh")

    def wrong():
        raise ConfigError("the file is wrong")

    found = list(carried_out([("a", defect), ("b", wrong), ("c", lambda: ok("c", "well"))]))
    assert [(one.subject, one.level) for one in found] == [("a", "warn"), ("b", "fail"), ("c", "ok")]
    assert "RuntimeError: oh" in found[0].text


def test_a_finding_is_one_line():
    finding = Finding("warn", "disk", "nearly full", "make room")
    assert str(finding) == "warn  disk: nearly full; make room"
