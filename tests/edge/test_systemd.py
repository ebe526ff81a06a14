from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from vedette_edge.config import AgentConfig

UNIT = Path(__file__).parents[2] / "systemd" / "edge-agent.service"


class _Repeated(dict):
    """systemd allows a key twice; keep both."""

    def __setitem__(self, key, value):
        if key in self and isinstance(value, list):
            self[key].extend(value)
        else:
            super().__setitem__(key, value)


@pytest.fixture(scope="module")
def service():
    parser = configparser.RawConfigParser(strict=False, dict_type=_Repeated, interpolation=None)
    parser.optionxform = str
    parser.read(UNIT)
    return dict(parser["Service"])


def test_the_unit_is_watched_and_restarted(service):
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) == 30
    assert service["Restart"] == "always"


def test_stopping_may_take_longer_than_the_agents_own_patience(service):
    assert int(service["TimeoutStopSec"]) > AgentConfig.model_fields["drain_timeout"].default + 20


def test_the_unit_runs_without_privileges(service):
    assert service["User"] not in ("", "root")
    for key in ("NoNewPrivileges", "PrivateDevices", "MemoryDenyWriteExecute", "ProtectClock"):
        assert service[key] == "yes", key
    assert service["CapabilityBoundingSet"] == ""
    assert service["ProtectSystem"] == "strict"


def test_the_state_directory_is_the_configurations_default(service):
    default = AgentConfig.model_fields["state_dir"].default
    assert default == Path("/var/lib") / service["StateDirectory"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_rates_the_unit_as_well_shut_in():
    result = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", str(UNIT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr
