from __future__ import annotations

import socket

import pytest

from vedette_edge.operation.doctor.places import (
    credential,
    disk_space,
    port,
    seconds_to_sync,
    state_directory,
    sync,
    user,
)

MIB = 2**20


def test_root_is_told_that_permissions_prove_nothing():
    assert (user(0).level, user(1000).level) == ("warn", "ok")


def nobody(*_):
    return False


def test_a_state_directory_is_for_the_agent_alone(tmp_path):
    path = tmp_path / "state"
    assert state_directory(path).text.endswith("is not there yet and can be made")
    path.mkdir(mode=0o700)
    assert state_directory(path).level == "ok"
    path.chmod(0o755)
    assert (state_directory(path).level, state_directory(path).remedy) == ("warn", f"chmod 700 {path}")
    assert state_directory(path, may=nobody).level == "fail"


def test_a_state_directory_below_a_file_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    assert state_directory(tmp_path / "file" / "state").level == "fail"


def test_a_credential_is_readable_by_its_owner_alone(tmp_path):
    path = tmp_path / "password"
    assert credential(path).text == "it is not there"
    path.write_text("secret")
    path.chmod(0o640)
    assert (credential(path).level, credential(path).remedy) == ("warn", f"chmod 600 {path}")
    path.chmod(0o600)
    assert credential(path).level == "ok"
    assert credential(path, may=nobody).level == "fail"
    assert "secret" not in str(credential(path))


@pytest.mark.parametrize(("free", "level"), [(10, "fail"), (100, "warn"), (1000, "ok")])
def test_room_on_the_disk_is_measured_against_what_may_be_kept(tmp_path, free, level):
    finding = disk_space(tmp_path / "not" / "yet", 500 * MIB, usage=lambda _path: (0, 0, free * MIB))
    assert finding.level == level
    assert f"{free} MiB free" in finding.text


@pytest.mark.parametrize(("seconds", "level"), [(0.002, "ok"), (0.3, "warn"), (2.0, "fail")])
def test_a_slow_disk_is_told(tmp_path, seconds, level):
    assert sync(tmp_path, measure=lambda _path: seconds).level == level


def test_a_disk_that_refuses_fails(tmp_path):
    def refuse(_path):
        raise OSError(30, "Read-only file system")

    assert "Read-only" in sync(tmp_path, measure=refuse).text


def test_a_real_disk_takes_some_time_and_keeps_nothing(tmp_path):
    assert 0 < seconds_to_sync(tmp_path) < 30
    assert list(tmp_path.iterdir()) == []


def test_a_port_is_free_or_taken():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        number = listener.getsockname()[1]
        taken = port("127.0.0.1", number)
        assert (taken.level, f"ss -ltnp 'sport = :{number}'" in taken.remedy) == ("fail", True)
    assert port("127.0.0.1", number).level == "ok"
    assert port("203.0.113.7", number).remedy.startswith("check prometheus.host")
