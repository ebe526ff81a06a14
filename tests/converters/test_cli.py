"""The command `vedette-convert`, through its door."""

import subprocess
import sys

import pytest
from door_helpers import through_door

from vedette_converters.__main__ import main
from vedette_edge import __version__
from vedette_edge.bundle import open_bundle


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    return through_door(main, monkeypatch, capsys, tmp_path, "vedette-convert")


def test_help_shows_the_commands_and_examples(command):
    code, printed = command("--help")
    assert code == 0
    assert "vedette-convert runs/demo --out bundles/demo" in printed
    assert all(f"│ {name} " in printed for name in ("convert",))


def test_a_run_without_a_command_is_converted(command):
    long = command("convert", "nowhere", "--out", "bundle")
    assert command("nowhere", "--out", "bundle") == long
    assert command("--out", "bundle", "nowhere") == long


def test_a_run_named_like_a_command_is_converted_by_the_long_form(command, tmp_path):
    (tmp_path / "convert").mkdir()
    sentence = "convert: error: convert is not a run"
    assert sentence in command("convert", "convert", "--out", "bundle")[1]
    assert sentence in command("./convert", "--out", "bundle")[1]


def test_the_version_is_printed(command):
    assert command("--version") == (0, f"vedette-convert {__version__}\n")


def test_a_run_becomes_a_bundle_and_its_proof_is_shown(command, run_directory, tmp_path):
    code, printed = command(run_directory, "--out", "bundle", "--release", 3)
    assert code == 0
    assert "bundle  (release 3)" in printed
    cells = [cell.strip() for cell in printed.replace("┃", "│").split("│")]
    assert "onnx-fp32-clip" in cells
    assert any(cell.startswith("100.0%") for cell in cells)
    assert open_bundle(tmp_path / "bundle").manifest.release == 3
    assert command(run_directory, "--out", "bundle")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nowhere", "--out", "bundle"], 1, "vedette-convert: error: nowhere is not a run"),
        (["nowhere"], 2, "Missing option '--out'"),
        ([".", "--out", "."], 2, "vedette-convert: error: . exists; a bundle is never overwritten"),
        ([".", "--out", "bundle", "--release", "-1"], 2, "Invalid value for '--release'"),
    ],
)
def test_an_error_is_one_sentence_and_a_code(arguments, code, sentence, command, tmp_path):
    found, printed = command(*arguments)
    assert found == code
    assert sentence in printed
    assert list(tmp_path.iterdir()) == []


def test_it_runs_as_a_module(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "vedette_converters", "nowhere", "--out", "bundle"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("vedette-convert: error: nowhere is not a run")
    assert done.stderr.count("\n") == 1
