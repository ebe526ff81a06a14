"""Runs in one table: same recipe over seeds, and what best means."""

import csv
import shutil

import pytest
from train_helpers import tiny_recipe

from vedette_edge.errors import DataError, UsageError
from vedette_train.metrics import Interval
from vedette_train.summary import Row, best_line, collect, spreads, write_summary


def row(name, value, *, same="x", videos=("a", "b"), reach=0.05, figure="accuracy"):
    interval = Interval(value, value - reach, value + reach, 2)
    return Row(name, "tiny", 0, same, frozenset(videos), {figure: interval})


def test_runs_of_one_recipe_are_put_together_over_their_seeds():
    rows = [row("a", 0.5), row("b", 0.9, same="y"), row("c", 0.7), row("d", 0.1, figure="auc")]
    found = spreads(rows, "accuracy")
    assert [(one.runs, one.mean, one.deviation) for one in found] == [
        (2, pytest.approx(0.6), pytest.approx(0.1 * 2**0.5)),
        (1, 0.9, None),
    ]


def test_the_best_is_named_with_how_much_that_means():
    alone = best_line([row("a", 0.5), row("b", 0.9)], "accuracy")
    assert alone == "best by accuracy: b, 0.900 [0.850, 0.950], n = 2"
    assert "1 others have intervals that overlap" in best_line([row("a", 0.85), row("b", 0.9)], "accuracy")
    other = row("a", 0.5, videos=("a", "c"))
    assert "not measured on the same videos" in best_line([other, row("b", 0.9)], "accuracy")
    with pytest.raises(UsageError, match="no run has the figure auc; choose one of: accuracy"):
        best_line([other], "auc")


@pytest.fixture
def runs(run_directory, tmp_path):
    """A folder with two runs of the same recipe, one with its seed changed, and a cross-validation."""
    folder = tmp_path / "runs"
    for name in ("one", "deep/two", "cv/fold-0"):
        shutil.copytree(run_directory, folder / name)
    (folder / "deep" / "two" / "recipe.yaml").write_text(tiny_recipe(seed=9).to_yaml())
    for name in ("metrics.json", "predictions.csv", "recipe.yaml"):
        shutil.copy(run_directory / name, folder / "cv" / name)
    (folder / "one" / "val").mkdir()
    shutil.copy(run_directory / "metrics.json", folder / "one" / "val")
    return folder


def test_every_run_below_is_found_once(runs):
    rows = collect(runs)
    assert [(one.name, one.seed) for one in rows] == [("cv", 3), ("deep/two", 9), ("one", 3)]
    assert [one.runs for one in spreads(rows, "accuracy")] == [3]
    assert [one.name for one in collect(runs / "one")] == ["one"]


def test_the_summary_is_a_table_a_picture_and_a_line(runs):
    rows = collect(runs)
    write_summary(runs, rows, "accuracy")
    with (runs / "summary.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [one["run"] for one in table] == ["cv", "deep/two", "one"]
    assert float(table[0]["accuracy_low"]) <= float(table[0]["accuracy"]) <= float(table[0]["accuracy_high"])
    assert (runs / "best_overall.txt").read_text() == best_line(rows, "accuracy") + "\n"
    assert (runs / "summary.png").is_file()


def test_a_folder_without_runs_is_an_error(tmp_path):
    with pytest.raises(DataError, match="holds no finished run"):
        collect(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        collect(tmp_path / "nowhere")


def test_a_damaged_run_is_named(runs):
    (runs / "one" / "predictions.csv").unlink()
    with pytest.raises(DataError, match=r"one/predictions\.csv: not a table"):
        collect(runs)
