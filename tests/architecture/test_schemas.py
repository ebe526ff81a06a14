from __future__ import annotations

import json
from pathlib import Path

import pytest

from vedette_edge.schemas import SCHEMAS, main, render

DIRECTORY = Path(__file__).parents[2] / "docs" / "schemas"
COMMAND = "python -m vedette_edge.schemas docs/schemas"


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_published_schema_is_the_one_in_force(name):
    path = DIRECTORY / f"{name}.json"
    assert path.is_file(), f"run: {COMMAND}"
    assert json.loads(path.read_text()) == json.loads(render(name)), f"{path} is out of date, run: {COMMAND}"


def test_nothing_else_is_published():
    assert {path.stem for path in DIRECTORY.glob("*.json")} == set(SCHEMAS)


def test_the_command_writes_all_schemas(tmp_path, capsys):
    assert main([str(tmp_path / "new")]) == 0
    assert {path.name for path in (tmp_path / "new").iterdir()} == {f"{name}.json" for name in SCHEMAS}
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
