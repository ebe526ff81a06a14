"""Cross-validation by group: trains a recipe once for each fold and pools what every fold predicts.

With few videos one fold says little; all of them together judge every video once, by a network that
never saw its group. Finished folds are kept, so an interrupted cross-validation goes on where it was.
"""

from __future__ import annotations

from pathlib import Path
from statistics import mean, stdev
from typing import Any

from vedette_edge.errors import ConfigError
from vedette_edge.files import write_atomically
from vedette_train.console import log
from vedette_train.fit import fit
from vedette_train.predictions import Prediction, read_predictions
from vedette_train.recipe import Recipe
from vedette_train.report import Subject, read_metrics, write_report
from vedette_train.runs import METRICS_FILE, PREDICTIONS_FILE, RECIPE_FILE, open_run, refuse_other_recipe

__all__ = ["cross_validate"]

_FOLD_FIGURES = ("accuracy", "macro_f1", "auc")


def cross_validate(recipe: Recipe, data: Path, out: Path, *, cache: Path | None = None) -> dict[str, Any]:
    """Train every fold and judge its test part; write the report over all of them into `out`.

    Figures are pooled: those of all predictions together. metrics.json also has those of each fold, their
    mean and standard deviation; a pooled AUC also compares scores of different networks, the mean does not.

    Args:
        recipe: what to train; its `data.fold` is ignored.
        data: folder of classes.
        out: gets one run a fold, `fold-0` and so on.
        cache: folder for decoded frames.

    Returns:
        The metrics over all videos.

    Raises:
        DataError: as `fit`.
        ConfigError: when a fold in `out` was started with another recipe, or the recipe names a split file.
    """
    if recipe.data.split_file:
        raise ConfigError("a cross-validation deals the folds itself; leave data.split_file out")
    predictions: list[Prediction] = []
    folds: list[dict[str, Any]] = []
    labels: tuple[str, ...] = ()
    for fold in range(recipe.data.folds):
        directory = out / f"fold-{fold}"
        log(f"fold {fold + 1} of {recipe.data.folds}", style="bold")
        settings = recipe.data.model_copy(update={"fold": fold})
        of_fold = recipe.model_copy(update={"data": settings})
        if (directory / METRICS_FILE).is_file():
            refuse_other_recipe(of_fold, directory)
        else:
            started = directory.is_dir() and any(directory.iterdir())
            fit(of_fold, data, directory, resume=started, cache=cache)
        labels = open_run(directory).info.labels
        predictions += read_predictions(directory / PREDICTIONS_FILE)[1]
        folds.append(_row(fold, read_metrics(directory)))
    split = f"{recipe.data.folds} folds by group, pooled, seed {recipe.seed}"
    subject = Subject(labels, split, recipe.data.background)
    write_atomically(out / RECIPE_FILE, recipe.to_yaml().encode())
    means = {name: _spread([row[name] for row in folds if row[name] is not None]) for name in _FOLD_FIGURES}
    return write_report(out, subject, predictions, {"folds": folds, "mean_over_folds": means})


def _row(fold: int, metrics: dict[str, Any]) -> dict[str, Any]:
    values = {name: metrics[name]["value"] if name in metrics else None for name in _FOLD_FIGURES}
    return {"fold": fold, "videos": metrics["accuracy"]["samples"], **values}


def _spread(values: list[float]) -> dict[str, float] | None:
    """Return mean and sample standard deviation; None without values."""
    if not values:
        return None
    return {"mean": mean(values), "deviation": stdev(values) if len(values) > 1 else 0.0}
