"""The commands, through their door."""

import json
import re
import sys

import pytest
from anomaly_helpers import tiny_anomaly
from door_helpers import through_door

from vedette_train.__main__ import main


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    return through_door(main, monkeypatch, capsys, tmp_path, "vedette-train")


@pytest.mark.parametrize(
    ("arguments", "example"),
    [
        (["anomaly", "detect"], "vedette-train anomaly detect runs/magnetic_tile new/ --out out/detected"),
        (["anomaly", "profile"], "vedette-train anomaly profile runs/magnetic_tile"),
        (["anomaly", "auroc"], "vedette-train anomaly auroc runs/seed-0 runs/seed-1 --without"),
        (["anomaly", "ui"], "vedette-train anomaly ui --runs runs"),
        (["data", "synth-anomaly"], "vedette-train data synth-anomaly --out out/surfaces"),
    ],
)
def test_help_shows_an_example(arguments, example, command):
    code, printed = command(*arguments, "--help")
    assert code == 0
    assert example in printed


def test_from_drawing_to_detecting(command, tmp_path):
    sizes = ("--train", 12, "--good", 3, "--bad", 3, "--side", 64)
    assert command("data", "synth-anomaly", "--out", "data", *sizes)[0] == 0
    (tmp_path / "tiny.yaml").write_text(tiny_anomaly(train__epochs=1).to_yaml())
    code, printed = command("fit", "tiny.yaml", "--data", "data", "--set", "seed=5")
    assert code == 0
    assert re.search(r"image AUROC +│ [01]\.\d{3} +│ [01]\.\d{3} to [01]\.\d{3} +│ 6", printed)
    metrics = tmp_path / "runs" / "tiny" / "metrics.json"
    fitted = json.loads(metrics.read_text())["threshold"]
    code, printed = command("evaluate", "runs/tiny")
    assert code == 0
    assert json.loads(metrics.read_text())["threshold"] == fitted
    code, printed = command("anomaly", "detect", "runs/tiny", "data/test/bad", "--out", "found")
    assert code == 0
    assert re.search(r"[0-3] of 3 pictures are bad: found/detections\.csv", printed)
    (tmp_path / "names.txt").write_text("test/good/000.png\ntest/bad/dent/000.png\n")
    code, printed = command("anomaly", "auroc", "runs/tiny", "--only", "names.txt")
    assert code == 0
    assert re.search(
        r"^[01]\.000 \[[01]\.000, [01]\.000\], n = 2   runs/tiny\n[01]\.000 mean$", printed, re.M
    )
    code, printed = command("anomaly", "auroc", "runs/tiny", "--without", "names.txt")
    assert ", n = 4" in printed
    code, printed = command("anomaly", "profile", "runs/tiny", "--repeats", 1)
    assert code == 0
    assert "backbone" in printed
    assert (tmp_path / "runs" / "tiny" / "profile" / "whole_profiler_results.csv").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["fit", "anomaly"], 2, "recipe 'anomaly' names no data: say where it is with --data DIR"),
        (
            ["fit", "anomaly", "--data", "nowhere"],
            1,
            "nowhere: no such folder; expected a folder with train/good",
        ),
        (["fit", "anomaly", "--set", "anomaly.latent=3"], 2, "anomaly.latent: unknown key"),
        (["fit", "anomaly", "--set", "task=anomly"], 2, "task: Input should be 'classify'"),
        (["fit", "anomaly", "--set", "anomaly.in_channels=64"], 2, "layer2 of resnet50 have 512 channels"),
        (["anomaly", "detect", "nowhere", ".", "--out", "x"], 2, ".: no picture found"),
        (["anomaly", "auroc", "nowhere"], 1, "predictions.csv: cannot be read as predictions"),
        (["anomaly", "auroc", ".", "--only", "nowhere"], 1, "nowhere: cannot be read"),
        (["anomaly", "profile", "nowhere"], 1, "nowhere is not a run of anomaly detection"),
        (["anomaly", "profile", "nowhere", "--device", "tpu"], 2, "--device tpu: expected auto, cpu or cuda"),
    ],
)
def test_an_error_is_one_sentence_and_a_code(arguments, code, sentence, command):
    found, printed = command(*arguments)
    assert found == code
    assert printed.startswith("vedette-train: error: ")
    assert sentence in printed
    assert printed.count("\n") == 1


def test_a_missing_page_library_is_one_sentence(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    code, printed = command("anomaly", "ui")
    assert code == 1
    assert printed.endswith("which is not installed: run  pip install 'vedette[ui]'\n")
    assert printed.startswith("vedette-train: error: this needs 'gradio'")
