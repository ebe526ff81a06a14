"""The command `vedette-convert`, through its door."""

import re
import subprocess
import sys

import pytest
from door_helpers import through_door
from edge_helpers import write_bundle

from vedette_converters.__main__ import main
from vedette_edge import __version__
from vedette_edge.bundle import open_bundle

BUDGET = ("--out", "out", "--max-drop", "0.01", "--latency-ms", "10", "--size-mb", "2")


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return through_door(main, monkeypatch, capsys, tmp_path, "vedette-convert")


def test_help_shows_the_commands_and_examples(command):
    code, printed = command("--help")
    assert code == 0
    assert "vedette-convert runs/demo --out bundles/demo" in printed
    assert all(f"│ {name} " in printed for name in ("convert", "report", "benchmark", "optimise"))


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


def test_a_run_becomes_a_bundle_and_its_proof_is_shown(command, small_run, tmp_path):
    plain = ("--runtimes", "onnx", "--precisions", "fp32")
    code, printed = command(small_run, "--out", "bundle", "--release", 3, *plain)
    assert code == 0
    assert "bundle  (release 3)" in printed
    cells = [cell.strip() for cell in printed.replace("┃", "│").split("│")]
    assert "onnx-fp32-clip" in cells
    assert any(cell.startswith("100.0%") for cell in cells)
    assert open_bundle(tmp_path / "bundle").manifest.release == 3
    assert command(small_run, "--out", "bundle")[0] == 2


def test_a_bundle_is_measured_once_and_its_report_is_written(command, tmp_path):
    write_bundle(tmp_path / "bundle")
    code, first = command("benchmark", "bundle")
    assert code == 0
    assert re.search(r"│ onnx-fp32 +│ +[\d.]+ +│ +[\d.]+ +│ +[\d.]+ +│ +\d+ +│", first)
    assert command("benchmark", "bundle") == (0, first), "the answer was kept"
    code, printed = command("report", "bundle", "--benchmark")
    assert code == 0
    assert "bundle  (release 1)" in printed
    page = tmp_path / "bundle.html"
    assert f"written: {page}" in printed
    assert page.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["report", "nowhere"], "nowhere is not a bundle"),
        (["benchmark", "nowhere"], "nowhere is not a bundle"),
        (["optimise", "nowhere", *BUDGET], "nowhere has no model.pt: it is not a finished run"),
        (["optimise", ".", *BUDGET, "--ratios", "0,much"], "--ratios 0,much: expected shares such as 0,0.3"),
        (["optimise", ".", *BUDGET, "--ratios", "0,1.5"], "ratios.1: Input should be less than 1"),
        (["optimise", ".", *BUDGET, "--runtimes", "tensorrt"], "--runtimes: got tensorrt, expected some of"),
    ],
)
def test_what_cannot_be_served_is_told_in_one_sentence(arguments, sentence, command, tmp_path):
    (tmp_path / "model.pt").touch()
    code, printed = command(*arguments)
    assert code in (1, 2)
    assert sentence in printed
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


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
