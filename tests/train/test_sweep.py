"""A sweep: the right direction, the validation part alone, shared and resumable."""

import csv
import os
import shutil
import subprocess
import sys

import vedette_train.torchvision_compat  # noqa: F401 - before lightning is imported

import cv2
import optuna
import pytest
from train_helpers import tiny_recipe

from vedette_edge.errors import ConfigError, DataError, UsageError
from vedette_train.history import read_history
from vedette_train.recipe import load_recipe
from vedette_train.runs import open_run
from vedette_train.search_space import Choice, Range, SearchSpace
from vedette_train.sweep import sweep

SPACE = SearchSpace(
    parameters={
        "train.lr": Range(type="float", low=1e-5, high=1e-1, log=True),
        "train.optimizer": Choice(type="categorical", choices=("adam", "sgd")),
    }
)


def table(out):
    with (out / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def one_epoch(**changes):
    return tiny_recipe(train__epochs=1, **changes)


@pytest.mark.parametrize(("monitor", "best"), [("val_loss", min), ("val_f1", max)])
def test_the_best_trial_is_best_in_the_direction_of_its_metric(monitor, best, data, cache, tmp_path):
    recipe = tiny_recipe(train__epochs=2, train__monitor=monitor)
    found = sweep(recipe, data, SPACE, tmp_path / "out", trials=4, cache=cache)
    rows = table(tmp_path / "out")
    assert [row["state"] for row in rows] == ["complete"] * 4
    figures = {
        row["trial"]: best(read_history(tmp_path / "out" / f"trial-{int(row['trial']):04d}")[monitor])
        for row in rows
    }
    assert {row["trial"]: float(row["value"]) for row in rows} == pytest.approx(figures, abs=1e-5)
    chosen = next(row for row in rows if float(row["value"]) == best(float(row["value"]) for row in rows))
    assert load_recipe(str(tmp_path / "out" / "best.yaml")) == found
    assert found.train.lr == float(chosen["train.lr"])
    assert found.train.optimizer == chosen["train.optimizer"]
    assert cv2.imread(str(tmp_path / "out" / "trials.png")) is not None


def test_the_test_part_is_never_looked_at(data, tmp_path):
    copy = shutil.copytree(data, tmp_path / "data")
    recipe = one_epoch()
    sweep(recipe, copy, SPACE, tmp_path / "out", trials=1, cache=tmp_path / "cache")
    run = tmp_path / "out" / "trial-0000"
    tested = open_run(run).info.test
    assert tested
    # With the videos of the test part emptied once they are decoded, a sweep would notice if it read them.
    for sample in tested:
        stat = (copy / sample.name).stat()
        (copy / sample.name).write_bytes(bytes(stat.st_size))
        os.utime(copy / sample.name, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    sweep(recipe, copy, SPACE, tmp_path / "out", trials=2, cache=tmp_path / "cache")
    assert [row["state"] for row in table(tmp_path / "out")] == ["complete"] * 2
    assert not list((tmp_path / "out").rglob("metrics.json"))
    assert not list((tmp_path / "out").rglob("predictions.csv"))


def test_a_sweep_goes_on_with_the_trials_that_it_has_as_if_it_had_not_stopped(data, cache, tmp_path):
    sweep(one_epoch(), data, SPACE, tmp_path / "twice", trials=2, cache=cache)
    first = table(tmp_path / "twice")
    sweep(one_epoch(), data, SPACE, tmp_path / "twice", trials=4, cache=cache)
    sweep(one_epoch(), data, SPACE, tmp_path / "twice", trials=4, cache=cache)
    sweep(one_epoch(), data, SPACE, tmp_path / "once", trials=4, cache=cache)
    rows = table(tmp_path / "twice")
    assert rows[:2] == first
    keys = ("trial", "state", "value", "train.lr", "train.optimizer")
    assert [[row[key] for key in keys] for row in rows] == [
        [row[key] for key in keys] for row in table(tmp_path / "once")
    ]


def test_a_trial_that_is_worse_than_most_is_stopped(data, cache, tmp_path):
    recipe = tiny_recipe(train__epochs=3, train__optimizer="sgd")
    name, place = "tiny", f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(study_name=name, storage=place, direction="minimize")
    distributions = {"train.lr": optuna.distributions.FloatDistribution(1e-5, 1e-4)}
    for _ in range(6):  # trials that could not be better
        study.add_trial(
            optuna.trial.create_trial(
                params={"train.lr": 2e-5},
                distributions=distributions,
                value=1e-6,
                intermediate_values=dict.fromkeys(range(3), 1e-6),
            )
        )
    space = SearchSpace(parameters={"train.lr": Range(type="float", low=1e-5, high=1e-4)})
    sweep(recipe, data, space, tmp_path / "out", trials=7, storage=place, cache=cache)
    last = table(tmp_path / "out")[-1]
    assert (last["state"], last["epochs"]) == ("pruned", "2")
    assert read_history(tmp_path / "out" / "trial-0006")["epoch"] == [1.0, 2.0]


def test_a_trial_whose_loss_explodes_fails_and_the_sweep_goes_on(data, cache, tmp_path):
    space = SearchSpace(parameters={"train.lr": Choice(type="categorical", choices=(1e30, 1e-3))})
    recipe = one_epoch(data__clips_per_video=2)
    found = sweep(recipe, data, space, tmp_path / "out", trials=4, cache=cache)
    assert {row["state"] for row in table(tmp_path / "out")} == {"complete", "fail"}
    assert found.train.lr == 1e-3


def test_a_sweep_in_which_nothing_succeeds_says_so(data, cache, tmp_path):
    space = SearchSpace(parameters={"train.lr": Choice(type="categorical", choices=(1e30, 1e31))})
    recipe = one_epoch(data__clips_per_video=2)
    with pytest.raises(DataError, match="none of 1 trials succeeded"):
        sweep(recipe, data, space, tmp_path / "out", trials=1, cache=cache)
    assert table(tmp_path / "out")[0]["state"] == "fail"


def test_a_study_is_not_gone_on_with_other_settings(data, cache, tmp_path):
    sweep(one_epoch(), data, SPACE, tmp_path / "out", trials=1, cache=cache)
    with pytest.raises(ConfigError, match="begun with another recipe or search space"):
        sweep(one_epoch(train__batch_size=2), data, SPACE, tmp_path / "out", trials=2, cache=cache)


def test_without_a_validation_part_nothing_can_be_chosen(data, tmp_path):
    recipe = one_epoch(data__val_share=0, train__keep="last")
    with pytest.raises(ConfigError, match=r"data\.val_share must not be 0"):
        sweep(recipe, data, SPACE, tmp_path, trials=1)


@pytest.mark.parametrize("place", ["nonsense://x", "sqlite:////nowhere/x.db", "journal:/nowhere/x"])
def test_a_storage_that_cannot_be_opened_is_said(place, data, tmp_path):
    with pytest.raises(UsageError, match="cannot be opened"):
        sweep(one_epoch(), data, SPACE, tmp_path, trials=1, storage=place)


@pytest.mark.slow
def test_two_machines_share_one_study(data, tmp_path):
    (tmp_path / "recipe.yaml").write_text(one_epoch().to_yaml())
    (tmp_path / "space.yaml").write_text("parameters:\n  train.lr: {type: float, low: 0.001, high: 0.1}\n")
    arguments = ["sweep", "recipe.yaml", "--data", str(data), "--space", "space.yaml", "--trials", "6"]
    arguments += ["--storage", "journal:shared.journal", "--study", "both"]
    machines = [
        subprocess.Popen(
            [sys.executable, "-m", "vedette_train", *arguments, "--out", f"machine-{number}"],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(tmp_path)},
        )
        for number in (0, 1)
    ]
    printed = [machine.communicate(timeout=200)[1] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], printed
    runs = sorted(path.name for path in tmp_path.glob("machine-*/trial-*"))
    assert runs == [f"trial-{number:04d}" for number in range(len(runs))]
    assert 6 <= len(runs) <= 7
    rows = max((table(tmp_path / f"machine-{number}") for number in (0, 1)), key=len)
    assert len({row["train.lr"] for row in rows}) == len(rows)
