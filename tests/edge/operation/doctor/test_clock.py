from __future__ import annotations

import os

import pytest

from vedette_edge.operation.doctor.clock import clock, is_synchronised

NOW = 1_790_000_000.0  # 2026


@pytest.mark.parametrize(
    ("now", "follows", "level"),
    [(0.0, True, "fail"), (NOW, True, "ok"), (NOW, None, "ok"), (NOW, False, "warn")],
)
def test_the_clock_is_judged_by_its_year_and_its_server(now, follows, level):
    finding = clock(lambda: now, lambda: follows)
    assert finding.level == level
    assert bool(finding.remedy) == (level != "ok")


@pytest.mark.parametrize(
    ("script", "found"),
    [("echo yes", True), ("echo no", False), ("echo perhaps", None), ("exit 1", None), (None, None)],
)
def test_systemd_is_asked_whether_the_clock_follows(tmp_path, monkeypatch, script, found):
    if script is not None:
        program = tmp_path / "timedatectl"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    assert is_synchronised() is found
