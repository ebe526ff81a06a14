from __future__ import annotations

import contextlib
import os
import socket
import threading

import pytest
from operation_helpers import make_status

from vedette_edge.errors import VedetteError
from vedette_edge.operation.status import StatusServer, read_status, socket_of_the_agent, sockets


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "status.sock"


def test_whoever_asks_gets_the_status(path):
    status = make_status()
    with StatusServer(path, lambda: status):
        assert read_status([path]) == status
        assert read_status([path.with_name("other"), path]) == status


def test_only_the_owner_may_ask(path):
    with StatusServer(path, make_status):
        assert path.stat().st_mode & 0o077 == 0


def test_the_socket_goes_with_the_server_and_one_that_was_left_is_replaced(path):
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(VedetteError, match="no agent runs here"):
        read_status([path])
    with StatusServer(path, make_status):
        read_status([path])
    assert not path.exists()


def test_many_ask_at_once(path):
    answers = []
    with StatusServer(path, make_status):
        threads = [threading.Thread(target=lambda: answers.append(read_status([path]))) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert len(answers) == 50


def test_somebody_who_asks_and_goes_away_does_no_harm(path):
    large = make_status(reason="x" * 2_000_000)
    with StatusServer(path, lambda: large):
        with socket.socket(socket.AF_UNIX) as rude:
            rude.connect(str(path))
        assert read_status([path]) == large


def test_a_defect_in_the_status_does_not_end_the_server(path, caplog):
    answers = iter([None, make_status()])
    with StatusServer(path, lambda: next(answers)):
        with pytest.raises(VedetteError, match="not that of this version"):
            read_status([path])
        assert "cannot tell the status" in caplog.text
        assert read_status([path])


def test_a_path_that_is_too_long_is_an_error_at_once(tmp_path):
    with pytest.raises(OSError, match="too long"):
        StatusServer(tmp_path / ("x" * 120), make_status)


@contextlib.contextmanager
def as_nobody():
    """Root may ask anybody, so a test that root runs becomes somebody else."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_who_may_not_ask_is_told_so(path):
    with StatusServer(path, make_status):
        path.chmod(0)
        with as_nobody(), pytest.raises(VedetteError, match="run this as root"):
            read_status([path])


def test_the_socket_lies_in_the_runtime_directory_of_a_service(tmp_path):
    assert socket_of_the_agent(tmp_path, {"RUNTIME_DIRECTORY": "/run/a:/run/b"}).parent.name == "a"
    assert socket_of_the_agent(tmp_path, {}).parent == tmp_path
    assert [place.parent.name for place in sockets(tmp_path)] == ["edge-agent", tmp_path.name]
    assert len(sockets()) == 1
