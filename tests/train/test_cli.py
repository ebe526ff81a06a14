"""The commands of `vedette-train`, through their door."""

import json
import re
import shutil
import subprocess
import sys

import cv2
import pytest
import yaml
from door_helpers import through_door
from train_helpers import tiny_recipe

from vedette_edge import __version__
from vedette_train.__main__ import main
from vedette_train.history import read_history


@pytest.fixture
def command(monkeypatch, capsys, tmp_path, cache):
    return through_door(main, monkeypatch, capsys, tmp_path, "vedette-train", XDG_CACHE_HOME=str(cache))


@pytest.fixture
def recipe_file(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(tiny_recipe(train__epochs=1).to_yaml())
    return path


@pytest.mark.parametrize(
    ("arguments", "example"),
    [
        (["fit"], "vedette-train fit demo --data out/data --out runs/demo"),
        (["crossval"], "vedette-train crossval actions --data"),
        (["sweep"], "vedette-train sweep demo --data out/data --space space.yaml --trials 20"),
        (["evaluate"], "vedette-train evaluate runs/demo"),
        (["export"], "vedette-train export runs/demo --out model.pt2"),
        (["quantise"], "vedette-train quantise runs/demo --out runs/demo-int8"),
        (["compare"], "vedette-train compare runs/baseline runs/proposed"),
        (["summary"], "vedette-train summary runs --by auc"),
        (["ablate"], "vedette-train ablate dual-stream --data"),
        (["data", "synth"], "vedette-train data synth --out out/data --clips 30"),
    ],
)
def test_help_shows_an_example(arguments, example, command):
    code, printed = command(*arguments, "--help")
    assert code == 0
    assert example in printed


def test_the_version_is_printed(command):
    assert command("--version") == (0, f"vedette-train {__version__}\n")


def test_without_a_command_there_is_help(command):
    code, printed = command()
    assert code in {0, 2}
    assert "crossval" in printed


def test_the_packaged_recipes_are_listed_with_what_they_are(command):
    code, printed = command("recipes")
    assert code == 0
    assert re.search(r"^demo +Tells five exercises", printed, re.M)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (
            ["fit", "dmeo"],
            2,
            "no recipe 'dmeo': did you mean 'demo'? It is neither a file nor one of: actions, ",
        ),
        (["fit", "demo"], 2, "recipe 'demo' names no data: say where it is with --data DIR"),
        (["fit", "demo", "--set", "train.epoch=1"], 2, "train.epoch: unknown key, did you mean 'epochs'?"),
        (["fit", "demo", "--set", "seed=["], 2, "--set seed=[: the value is not YAML"),
        (["fit", "demo", "--data", "nowhere"], 1, "nowhere: no such folder"),
        (["crossval", "demo", "--data", "nowhere"], 1, "nowhere: no such folder"),
        (["evaluate", "nowhere"], 1, "nowhere is not a run: it has no run.json"),
        (["compare", "nowhere", "elsewhere"], 1, "nowhere/predictions.csv: not a table of predictions"),
        (["ablate", "demo", "--data", "."], 2, "sees rgb: an ablation needs data.input.streams: rgb+flow"),
        (["summary", "nowhere"], 1, "nowhere: no such folder"),
        (["summary", ".", "--by", "luck"], 2, "--by luck: expected one of accuracy, "),
    ],
)
def test_an_error_is_one_sentence_and_a_code(arguments, code, sentence, command):
    found, printed = command(*arguments)
    assert found == code
    lines = [line for line in printed.splitlines() if line.startswith("vedette-train: error: ")]
    assert len(lines) == 1
    assert sentence in lines[0]
    assert printed.endswith(lines[0] + "\n")


@pytest.mark.parametrize("arguments", [["fit"], ["fti"], ["fit", "demo", "--epochs", "3"], ["data", "synth"]])
def test_bad_use_is_told_by_the_parser(arguments, command):
    code, printed = command(*arguments)
    assert code == 2
    assert "Usage: vedette-train" in printed


def test_training_ends_with_the_figures(command, recipe_file, data, tmp_path):
    code, printed = command("fit", recipe_file, "--data", data, "--set", "seed=8", "--set", "data.folds=2")
    assert code == 0
    assert (tmp_path / "runs" / "tiny" / "metrics.json").is_file()
    assert re.search(
        r"runs/tiny +\(test, fold 0 of 2 by group, seed 8, split\.csv sha256 [0-9a-f]{12}\)", printed
    )
    assert re.search(r"accuracy +│ [01]\.\d{3} │ 0\.\d{3} to [01]\.\d{3} +│ 4", printed)
    assert "recall left" in printed
    assert "specificity of left" in printed
    assert re.search(r"calibration: error \(ECE\) 0\.\d{3}, at the recipe's temperature", printed)
    code, printed = command("fit", recipe_file, "--data", data, "--set", "seed=8", "--set", "data.folds=2")
    assert code == 2
    assert "is not empty; add --resume" in printed


def test_a_recipe_can_name_its_data_and_a_training_takes_what_was_prepared(
    command, recipe_file, data, tmp_path
):
    values = yaml.safe_load(recipe_file.read_text())
    values["data"]["root"] = str(data)
    recipe_file.write_text(yaml.safe_dump(values))
    assert command("prepare", recipe_file, "--out", "frames")[0] == 0
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "frames").glob("*.npy")}
    assert command("fit", recipe_file, "--out", tmp_path / "run", "--cache", "frames")[0] == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "frames").iterdir()} == kept
    assert len(kept) == 8
    assert read_history(tmp_path / "run")["epoch"] == [1.0]


def test_evaluation_writes_the_report_anew(command, own_run):
    (own_run / "metrics.json").unlink()
    code, printed = command("evaluate", own_run)
    assert code == 0
    assert "macro F1" in printed
    assert (own_run / "metrics.json").is_file()
    assert command("evaluate", own_run, "--part", "val")[0] == 0
    assert (own_run / "val" / "metrics.json").is_file()
    code, printed = command("evaluate", own_run, "--part", "all")
    assert code == 2
    assert "--part all: expected one of train, val, test" in printed


def test_cross_validation_ends_with_the_figures_of_all_folds(command, recipe_file, data, tmp_path):
    arguments = (recipe_file, "--data", data, "--set", "data.folds=2", "--cache", "frames")
    code, printed = command("crossval", *arguments)
    assert code == 0
    assert "2 folds by group, pooled, seed 3" in printed
    assert re.search(r"mean +│ +│ 0\.\d{3} ± 0\.\d{3}", printed)
    folds = (tmp_path / "runs" / "tiny-cv").glob("fold-*")
    assert sorted(path.name for path in folds) == ["fold-0", "fold-1"]
    assert len(list((tmp_path / "frames").glob("*.npy"))) == 8


def test_two_runs_are_compared_in_a_table_and_in_words(command, own_run, run_directory, data, tmp_path):
    code, printed = command("compare", own_run, run_directory, "--out", "compared.json")
    assert code == 0
    assert "2 videos of 1 groups that both judged (0 and 0 that only one did)" in printed
    assert f"No evidence that {own_run.name} and {run_directory.name} differ in accuracy" in printed
    content = json.loads((tmp_path / "compared.json").read_text())
    assert (content["mcnemar"]["p"], content["better"], content["costs"]) == (1.0, 0, {})
    code, printed = command("compare", own_run, run_directory, "--data", data, "--out", "compared.json")
    assert code == 0
    assert "GMACs" in printed
    costs = json.loads((tmp_path / "compared.json").read_text())["costs"]
    assert all(cost["network_ms"] > 0 == cost["flow_ms"] for cost in costs.values())
    path = own_run / "predictions.csv"
    path.write_text(path.read_text().replace("left", "up"))
    code, printed = command("compare", own_run, run_directory)
    assert code == 1
    assert "tells up, right apart and" in printed


def test_runs_are_summed_up(command, own_run):
    code, printed = command("summary", own_run.parent)
    assert code == 0
    assert "best by accuracy: run, " in printed
    assert (own_run.parent / "summary.csv").is_file()


@pytest.mark.slow
def test_synthetic_clips_are_drawn_at_the_frame_rate_asked_for(command, tmp_path):
    arguments = ("--clips", 1, "--seconds", 0.5, "--fps", 10, "--workers", 1, "--seed", 2)
    code, printed = command("data", "synth", "--out", tmp_path / "data", *arguments)
    assert code == 0
    assert f"wrote {tmp_path / 'data'}" in printed
    for path in (tmp_path / "data").glob("*/*.mp4"):
        assert 7.5 < cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS) < 12.5
    code, printed = command("data", "synth", "--out", tmp_path / "data", *arguments)
    assert code == 1
    assert printed.startswith("vedette-train: error: ")


@pytest.mark.slow
def test_a_long_video_comes_with_its_timeline(command, tmp_path):
    code, printed = command("data", "synth", "--out", tmp_path / "new", "--timeline", 6, "--fps", 4)
    assert code == 0
    assert re.search(r"wrote .*timeline-0\.mp4 with \d+ actions", printed)
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "timeline-0.mp4",
        "timeline-0.timeline.json",
    }


def test_the_door_is_a_console_script(tmp_path):
    script = shutil.which("vedette-train", path=str(sys.prefix) + "/bin")
    assert script, "install the project: pip install -e .[dev]"
    done = subprocess.run([script, "fit", "dmeo"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("vedette-train: error: no recipe 'dmeo'")
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_debug_trains_one_epoch_of_few_batches_and_shows_the_augmentation(command, data, tmp_path):
    path = tmp_path / "long.yaml"
    prune = {"warmup": 3, "epochs": 3}
    path.write_text(
        tiny_recipe(train__epochs=9, train__batch_size=1, train__workers=2, train__prune=prune).to_yaml()
    )
    code, printed = command("fit", path, "--data", data, "--debug")
    assert code == 0, printed
    run = tmp_path / "runs" / "tiny-debug"
    assert read_history(run)["epoch"] == [1.0]
    trained = yaml.safe_load((run / "recipe.yaml").read_text())["train"]
    assert (trained["workers"], trained["limit_batches"], trained["prune"]) == (0, 0.05, None)
    kinds = {path.stem.rpartition("_")[2] for path in (run / "debug_output").glob("vid_*.mp4")}
    assert kinds == {"orig", "aug"}


def test_a_sweep_leaves_a_recipe_that_can_be_trained(command, recipe_file, data, tmp_path):
    (tmp_path / "space.yaml").write_text("parameters:\n  train.lr: {type: float, low: 1e-3, high: 1e-2}\n")
    arguments = ("sweep", recipe_file, "--data", data, "--space", "space.yaml", "--trials", 2)
    code, printed = command(*arguments, "--set", "train.batch_size=2", "--study", "lr")
    assert code == 0, printed
    assert "best of 2 trials: val_loss" in printed
    best = tmp_path / "runs" / "tiny-sweep" / "best.yaml"
    assert yaml.safe_load(best.read_text())["train"]["batch_size"] == 2
    assert command("fit", best, "--data", data, "--out", "run")[0] == 0


def test_a_sweep_with_a_wrong_space_is_one_sentence(command, recipe_file, data, tmp_path):
    (tmp_path / "space.yaml").write_text("parameters:\n  train.lrr: {type: float, low: 1, high: 2}\n")
    code, printed = command("sweep", recipe_file, "--data", data, "--space", "space.yaml")
    assert code == 2
    assert "train.lrr: unknown key, did you mean 'lr" in printed
    assert printed.count("\n") == 1
