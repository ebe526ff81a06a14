"""Every video is judged once, by a network that never saw its group; finished folds are kept."""

import json
import shutil

import numpy as np
import pytest
from train_helpers import LABELS, tiny_recipe

from vedette_edge.errors import ConfigError
from vedette_train.crossval import cross_validate
from vedette_train.predictions import read_predictions
from vedette_train.runs import open_run


def recipe(**changes):
    return tiny_recipe(train__epochs=1, data__folds=2, **changes)


@pytest.fixture(scope="module")
def finished(data, cache, tmp_path_factory):
    out = tmp_path_factory.mktemp("crossval") / "cv"
    cross_validate(recipe(data__fold=1), data, out, cache=cache)
    return out


@pytest.fixture
def own(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "cv")


def test_every_video_is_judged_once_by_a_network_that_never_saw_its_group(finished, data):
    labels, predictions = read_predictions(finished / "predictions.csv")
    assert labels == LABELS
    assert sorted(one.sample.name for one in predictions) == sorted(
        path.relative_to(data).as_posix() for path in data.glob("*/*.mp4")
    )
    for fold in (0, 1):
        run = open_run(finished / f"fold-{fold}")
        assert run.recipe == recipe(data__fold=fold)
        _, judged = read_predictions(finished / f"fold-{fold}" / "predictions.csv")
        chosen_on = {one.group for one in (*run.info.train, *run.info.val)}
        assert not {one.sample.group for one in judged} & chosen_on
        assert set(judged) <= set(predictions)


def test_the_figures_are_over_all_folds(finished):
    metrics = json.loads((finished / "metrics.json").read_text())
    assert metrics["split"] == "2 folds by group, pooled, seed 3"
    assert metrics["accuracy"]["samples"] == 8
    assert (finished / "confusion.png").is_file()
    assert [(row["fold"], row["videos"]) for row in metrics["folds"]] == [(0, 4), (1, 4)]
    values = [row["accuracy"] for row in metrics["folds"]]
    assert metrics["mean_over_folds"]["accuracy"]["mean"] == pytest.approx(metrics["accuracy"]["value"])
    assert metrics["mean_over_folds"]["accuracy"]["deviation"] == pytest.approx(np.std(values, ddof=1))


def test_a_split_file_leaves_nothing_to_deal(data, tmp_path):
    with pytest.raises(ConfigError, match=r"leave data\.split_file out"):
        cross_validate(recipe(data__split_file="split.csv"), data, tmp_path / "cv")


def test_finished_folds_are_kept(own, data, cache):
    before = {path: path.stat().st_mtime_ns for path in own.rglob("model.pt")}
    (own / "metrics.json").unlink()
    cross_validate(recipe(), data, own, cache=cache)
    assert {path: path.stat().st_mtime_ns for path in own.rglob("model.pt")} == before
    assert (own / "metrics.json").is_file()


def test_an_interrupted_fold_goes_on(own, data, cache):
    (own / "fold-0" / "metrics.json").unlink()
    shutil.rmtree(own / "fold-1")
    (own / "fold-1").mkdir()
    history = (own / "fold-0" / "history.csv").read_text()
    metrics = cross_validate(recipe(), data, own, cache=cache)
    assert metrics["accuracy"]["samples"] == 8
    assert (own / "fold-0" / "history.csv").read_text() == history
    assert (own / "fold-1" / "model.pt").is_file()


@pytest.mark.parametrize("done", [True, False])
def test_folds_of_another_recipe_are_refused(done, own, data, cache):
    if not done:
        (own / "fold-0" / "metrics.json").unlink()
    with pytest.raises(ConfigError, match=r"fold-0 was started with another recipe \(seed: 3 there, 4 now\)"):
        cross_validate(recipe(seed=4), data, own, cache=cache)
