"""Cross-validation by group: trains a recipe once for each fold and pools what every fold predicts.

With few videos one fold says little; all of them together judge every video once, by a network that
never saw its group. Finished folds are kept, so an interrupted cross-validation goes on where it was.
"""

from __future__ import annotations

from pathlib import Path

from vedette_train.console import log
from vedette_train.fit import fit
from vedette_train.predictions import Prediction, read_predictions
from vedette_train.recipe import Recipe
from vedette_train.report import write_report
from vedette_train.runs import METRICS_FILE, PREDICTIONS_FILE, open_run, refuse_other_recipe

__all__ = ["cross_validate"]


def cross_validate(recipe: Recipe, data: Path, out: Path, *, cache: Path | None = None) -> dict[str, object]:
    """Train and predict every fold; write metrics.json, predictions.csv and confusion.png into `out`.

    Args:
        recipe: what to train; its `data.fold` is ignored.
        data: folder of classes.
        out: gets one run a fold, `fold-0` and so on.
        cache: folder for decoded frames.

    Returns:
        The metrics over all videos.

    Raises:
        DataError: as `fit`.
        ConfigError: when a fold in `out` was started with another recipe.
    """
    predictions: list[Prediction] = []
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
    split = f"{recipe.data.folds} folds by group, pooled, seed {recipe.seed}"
    return write_report(out, labels, predictions, split)
