from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vedette_edge.boards import load_profiles
from vedette_edge.errors import ConfigError
from vedette_edge.installation import (
    CONFIG,
    Placed,
    activation,
    carry_out,
    check_config,
    deactivation,
    plan,
    removal,
    remove,
    run_all,
)

PROFILES = load_profiles()
AGENT = Path("/usr/local/bin/edge-agent")


def silent(_):
    pass


def files(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", [None, *PROFILES])
def test_what_is_installed_is_removed_but_for_the_configuration(name, tmp_path):
    carry_out(plan(PROFILES.get(name), AGENT), tmp_path, silent)
    assert "etc/systemd/system/edge-agent.service" in files(tmp_path)
    remove(removal(tmp_path, purge=False), silent)
    assert files(tmp_path) == ["etc/edge-agent/edge-agent.yaml"]
    remove(removal(tmp_path, purge=True), silent)
    assert files(tmp_path) == []
    assert removal(tmp_path, purge=True) == []


def test_the_unit_starts_the_agent_that_installed_it():
    agent, updater = [file for file in plan(None, AGENT) if file.path.suffix == ".service"]
    assert f"ExecStart={AGENT} run" in agent.content
    assert f"ExecStart={AGENT} ota look" in updater.content


def test_agent_timer_and_path_are_started_and_stopped_together(tmp_path):
    units = ("edge-agent.service", "edge-agent-ota.timer", "edge-agent-ota.path")
    assert activation(start=True)[-1] == ("systemctl", "enable", "--now", *units)
    assert not any("enable" in command for command in activation(start=False))
    carry_out(plan(None, AGENT), tmp_path, silent)
    assert deactivation(removal(tmp_path, purge=False)) == [
        ("systemctl", "disable", "--now", *units),
        ("systemctl", "stop", "edge-agent-ota.service"),
    ]
    assert deactivation([]) == []


def test_an_installation_from_before_there_was_an_updater_is_removed_too(tmp_path):
    unit = tmp_path / "etc/systemd/system/edge-agent.service"
    carry_out([Placed(Path("/etc/systemd/system/edge-agent.service"), "")], tmp_path, silent)
    paths = removal(tmp_path, purge=False)
    assert paths == [unit]
    assert deactivation(paths) == [("systemctl", "disable", "--now", "edge-agent.service")]


def test_the_updater_may_use_what_models_run_on_and_no_camera(tmp_path):
    updater = "etc/systemd/system/edge-agent-ota.service.d/50-board.conf"
    carry_out(plan(PROFILES["jetson-orin"], AGENT), tmp_path / "jetson", silent)
    assert "MemoryDenyWriteExecute=no" in (tmp_path / "jetson" / updater).read_text()
    carry_out(plan(PROFILES["raspberry-pi-4"], AGENT), tmp_path / "pi", silent)
    assert not (tmp_path / "pi" / updater).exists()


def test_a_purge_takes_the_models_too(tmp_path):
    (tmp_path / "var/lib/edge-models/door").mkdir(parents=True)
    assert removal(tmp_path, purge=False) == []
    remove(removal(tmp_path, purge=True), silent)
    assert not (tmp_path / "var/lib/edge-models").exists()


def test_the_unit_has_a_program_to_start_when_python_installed_it(tmp_path):
    command = [sys.executable, "-m", "vedette_edge", "install", "--board", "none", "--root", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    unit = (tmp_path / "etc/systemd/system/edge-agent.service").read_text()
    assert f"ExecStart={Path(sys.executable).with_name('edge-agent')} run" in unit


def test_a_configuration_with_relative_paths_is_not_installed_elsewhere(tmp_path):
    config = tmp_path / "site.yaml"
    common = "site: hall\nnode: node-1\ncameras: [{id: door, source: {type: rtsp, url: 'rtsp://x/y'}}]\n"
    config.write_text(f"bundle: bundle\n{common}")
    with pytest.raises(ConfigError, match="relative paths"):
        check_config(config)
    config.write_text(f"bundle: /srv/bundle\n{common}")
    check_config(config)


def test_an_edited_configuration_is_kept(tmp_path):
    carry_out(plan(None, AGENT), tmp_path, silent)
    config = tmp_path / CONFIG.relative_to("/")
    config.write_text("mine")
    told = []
    carry_out(plan(None, AGENT), tmp_path, told.append)
    assert config.read_text() == "mine"
    assert f"{config}: kept as it is" in told


@pytest.mark.parametrize("unit", ["agent.service", "agent-ota.service", "agent-ota.timer", "agent-ota.path"])
def test_a_directory_of_drop_ins_whose_owner_has_emptied_it_goes(tmp_path, unit):
    directory = tmp_path / f"etc/systemd/system/edge-{unit}.d"
    directory.mkdir(parents=True)
    remove(removal(tmp_path, purge=False), silent)
    assert not directory.exists()


def test_a_drop_in_of_the_owner_stays(tmp_path):
    carry_out(plan(PROFILES["jetson-orin"], AGENT), tmp_path, silent)
    own = tmp_path / "etc/systemd/system/edge-agent.service.d/90-own.conf"
    own.write_text("[Service]\n")
    remove(removal(tmp_path, purge=True), silent)
    assert files(tmp_path) == [str(own.relative_to(tmp_path))]


def test_where_nothing_can_be_written_root_is_asked_for(tmp_path):
    (tmp_path / "etc").write_text("a file")
    with pytest.raises(ConfigError, match="takes root"):
        carry_out([Placed(Path("/etc/x"), "")], tmp_path, silent)


def test_a_command_that_fails_says_why_and_one_that_is_missing_is_passed_over():
    told = []
    run_all([("no-such-program-here",), ("true",)], told.append)
    assert told == ["no-such-program-here is not installed: passed over", "true"]
    with pytest.raises(ConfigError, match=r"'ls /no/such/place' failed: .*No such file"):
        run_all([("ls", "/no/such/place")], silent)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("name", ["edge-agent", "edge-agent-ota"])
@pytest.mark.parametrize("profile", PROFILES.values(), ids=str)
def test_systemd_takes_the_units_of_each_board_and_still_rates_them_well(profile, name, tmp_path):
    carry_out(plan(profile, Path("/bin/true")), tmp_path, silent)
    unit = tmp_path / f"etc/systemd/system/{name}.service"
    drop_in = tmp_path / f"etc/systemd/system/{name}.service.d/50-board.conf"
    whole = tmp_path / f"{name}.service"
    whole.write_text(unit.read_text() + (drop_in.read_text() if drop_in.exists() else ""))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(whole)], capture_output=True, text=True, check=False
    )
    assert "edge-agent" not in checked.stderr, checked.stderr
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", str(whole)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout[-300:]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_timer_and_the_path_with_what_they_start(tmp_path):
    carry_out(plan(None, Path("/bin/true")), tmp_path, silent)
    units = sorted((tmp_path / "etc/systemd/system").glob("edge-agent-ota.*"))
    assert [unit.suffix for unit in units] == [".path", ".service", ".timer"]
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert "edge-agent" not in checked.stderr, checked.stderr
