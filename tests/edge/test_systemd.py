from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from vedette_edge.config import AgentConfig
from vedette_edge.config.ota import OtaConfig
from vedette_edge.ota.layout import look_path

UNITS = Path(__file__).parents[2] / "systemd"
UNIT = UNITS / "edge-agent.service"
UPDATER = UNITS / "edge-agent-ota.service"


class _Repeated(dict):
    """systemd allows a key twice; keep both."""

    def __setitem__(self, key, value):
        if key in self and isinstance(value, list):
            self[key].extend(value)
        else:
            super().__setitem__(key, value)


def section(path, name="Service"):
    parser = configparser.RawConfigParser(strict=False, dict_type=_Repeated, interpolation=None)
    parser.optionxform = str
    parser.read(path)
    return dict(parser[name])


@pytest.fixture(scope="module")
def service():
    return section(UNIT)


@pytest.fixture(scope="module")
def updater():
    return section(UPDATER)


def test_the_unit_is_watched_and_restarted(service):
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) == 30
    assert service["Restart"] == "always"


def test_stopping_may_take_longer_than_the_agents_own_patience(service):
    assert int(service["TimeoutStopSec"]) > AgentConfig.model_fields["drain_timeout"].default + 20


@pytest.mark.parametrize("unit", [UNIT, UPDATER], ids=lambda path: path.stem)
def test_the_units_run_without_privileges(unit):
    service = section(unit)
    assert service["User"] not in ("", "root")
    for key in ("NoNewPrivileges", "PrivateDevices", "MemoryDenyWriteExecute", "ProtectClock"):
        assert service[key] == "yes", key
    assert service["CapabilityBoundingSet"] == ""
    assert service["ProtectSystem"] == "strict"


def test_the_state_directory_is_the_configurations_default(service):
    default = AgentConfig.model_fields["state_dir"].default
    assert default == Path("/var/lib") / service["StateDirectory"]


def test_the_updater_alone_may_write_the_model_store_and_nothing_else(service, updater):
    store = OtaConfig.model_fields["store"].default
    assert store == Path("/var/lib") / updater["StateDirectory"]
    assert (updater["User"], updater["Group"]) == (service["User"], service["Group"])
    # The rest is read-only for each by ProtectSystem=strict, whoever owns it.
    written = ("StateDirectory", "RuntimeDirectory", "CacheDirectory", "LogsDirectory", "ReadWritePaths")
    assert {key: updater[key] for key in written if key in updater} == {"StateDirectory": "edge-models"}
    assert service["StateDirectory"] == "edge-agent"
    assert "ReadWritePaths" not in service


def test_the_updater_is_not_resident_and_outlives_a_probe_that_takes_too_much(updater):
    assert updater["Type"] == "oneshot"
    assert updater["OOMPolicy"] == "continue"
    assert "MemoryMax" in updater
    assert section(UPDATER, "Unit")["StartLimitIntervalSec"] == "0"


def test_both_are_shut_in_alike_but_for_what_each_is_for(service, updater):
    own = {
        *("Type", "NotifyAccess", "WatchdogSec", "ExecStart", "ExecReload", "Restart", "RestartSec"),
        *("TimeoutStartSec", "TimeoutStopSec", "StateDirectory", "RuntimeDirectory", "RuntimeDirectoryMode"),
        *("TasksMax", "OOMPolicy", "IOWeight"),
    }
    assert {key: service[key] for key in service.keys() - own} == {
        key: updater[key] for key in updater.keys() - own
    }


def test_the_updater_looks_from_time_to_time_and_when_the_agent_asks():
    timer = section(UNITS / "edge-agent-ota.timer", "Timer")
    assert timer["OnUnitInactiveSec"] == "15min"
    assert "OnBootSec" in timer
    assert "RandomizedDelaySec" in timer
    state = AgentConfig.model_fields["state_dir"].default
    assert section(UNITS / "edge-agent-ota.path", "Path")["PathChanged"] == str(look_path(state))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("unit", [UNIT, UPDATER], ids=lambda path: path.stem)
def test_systemd_rates_the_units_as_well_shut_in(unit):
    result = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr
