"""All runs below a folder in one table: the same recipe over its seeds, and which one is best."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from vedette_edge.errors import DataError, UsageError
from vedette_edge.files import write_atomically
from vedette_train.card import FIGURES
from vedette_train.metrics import Interval
from vedette_train.plots import plot_bars
from vedette_train.predictions import read_predictions
from vedette_train.report import read_metrics
from vedette_train.runs import METRICS_FILE, PREDICTIONS_FILE, RECIPE_FILE, read_recipe

__all__ = ["Row", "Spread", "best_line", "collect", "spreads", "write_summary"]


@dataclass(frozen=True, slots=True)
class Row:
    """One run, or one cross-validation.

    Attributes:
        name: its folder, relative to the folder of all.
        recipe: the recipe's name.
        seed: the recipe's.
        same: equal for runs whose recipes differ in their seed alone.
        videos: names of the videos that it was measured on.
        figures: by name, those that are defined.
    """

    name: str
    recipe: str
    seed: int
    same: str
    videos: frozenset[str]
    figures: dict[str, Interval]


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure of one recipe over its seeds; the deviation is that of a sample, None of a single run."""

    recipe: str
    runs: int
    mean: float
    deviation: float | None


def collect(directory: Path) -> list[Row]:
    """Read every run and cross-validation below a folder; the folds of one are not runs of their own.

    Raises:
        DataError: when there is none, or one is damaged.
    """
    if not directory.is_dir():
        raise DataError(f"{directory}: no such folder; give the one that holds the runs")
    found = sorted(
        path.parent for path in directory.rglob(METRICS_FILE) if (path.parent / RECIPE_FILE).is_file()
    )
    pooled = {path for path in found if (path / "fold-0").is_dir()}
    rows = [_read(path, directory) for path in found if path.parent not in pooled]
    if not rows:
        raise DataError(f"{directory} holds no finished run (none has {METRICS_FILE} beside {RECIPE_FILE})")
    return rows


def _read(path: Path, root: Path) -> Row:
    metrics, recipe = read_metrics(path), read_recipe(path)
    _, predictions = read_predictions(path / PREDICTIONS_FILE)
    try:
        figures = {key: Interval(**metrics[key]) for key in FIGURES if key in metrics}
    except TypeError as error:
        raise DataError(f"{path / METRICS_FILE}: not the metrics of a run ({error})") from error
    same = recipe.model_copy(update={"seed": 0}).to_yaml()
    names = frozenset(one.sample.name for one in predictions)
    relative = path.relative_to(root).as_posix()
    return Row(
        path.resolve().name if relative == "." else relative, recipe.name, recipe.seed, same, names, figures
    )


def spreads(rows: Sequence[Row], figure: str) -> list[Spread]:
    """Return the figure of each recipe over its seeds, in the order of the rows."""
    by_recipe: dict[str, list[Row]] = {}
    for row in rows:
        if figure in row.figures:
            by_recipe.setdefault(row.same, []).append(row)
    found = []
    for members in by_recipe.values():
        values = [row.figures[figure].value for row in members]
        deviation = stdev(values) if len(values) > 1 else None
        found.append(Spread(members[0].recipe, len(values), mean(values), deviation))
    return found


def best_line(rows: Sequence[Row], figure: str) -> str:
    """Say which run is best by a figure, and how much that means.

    Raises:
        UsageError: when no run has the figure.
    """
    measured = [row for row in rows if figure in row.figures]
    if not measured:
        raise UsageError(f"no run has the figure {figure}; choose one of: {', '.join(_known(rows))}")
    best = max(measured, key=lambda row: row.figures[figure].value)
    line = f"best by {FIGURES[figure]}: {best.name}, {best.figures[figure]}"
    near = [
        row.name
        for row in measured
        if row is not best and row.figures[figure].high >= best.figures[figure].low
    ]
    if near:
        line += (
            f"; {len(near)} others have intervals that overlap: tell them apart with vedette-train compare"
        )
    if len({row.videos for row in measured}) > 1:
        line += "; the runs were not measured on the same videos, so the order says little"
    return line


def _known(rows: Iterable[Row]) -> list[str]:
    return [key for key in FIGURES if any(key in row.figures for row in rows)]


def write_summary(directory: Path, rows: Sequence[Row], figure: str) -> None:
    """Write summary.csv, summary.png and best_overall.txt.

    Raises:
        UsageError: when no run has the figure.
    """
    line = best_line(rows, figure)
    write_atomically(directory / "best_overall.txt", (line + "\n").encode())
    text = io.StringIO()
    keys = _known(rows)
    writer = csv.writer(text, lineterminator="\n")
    columns = (f"{key}{end}" for key in keys for end in ("", "_low", "_high"))
    writer.writerow(("run", "recipe", "seed", "videos", *columns))
    for row in rows:
        writer.writerow((row.name, row.recipe, row.seed, len(row.videos), *_values(row, keys)))
    write_atomically(directory / "summary.csv", text.getvalue().encode())
    bars = {row.name: row.figures[figure] for row in rows if figure in row.figures}
    plot_bars(bars, FIGURES[figure], directory / "summary.png")


def _values(row: Row, keys: Sequence[str]) -> list[Any]:
    found: list[Any] = []
    for key in keys:
        one = row.figures.get(key)
        found += ["", "", ""] if one is None else [f"{value:.4f}" for value in (one.value, one.low, one.high)]
    return found
