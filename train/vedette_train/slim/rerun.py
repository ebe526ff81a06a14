"""A run made again with fewer channels: slimmed at once, then trained on, on its own training part.

The result is a run like any other: its recipe names the dense one, and `vedette-train fit` repeats it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from vedette_edge.errors import DataError
from vedette_train.recipe import InitSettings, Recipe, recipe_from_dict
from vedette_train.runs import METRICS_FILE, SPLIT_FILE, Run, open_run
from vedette_train.slim.compare import Row, measure, rows
from vedette_train.slim.settings import SlimSettings

if TYPE_CHECKING:
    from vedette_train.anomaly.recipe import AnomalyRecipe
    from vedette_train.anomaly.run import AnomalyRun

__all__ = [
    "compare",
    "refuse_other_pictures",
    "slim_anomaly_recipe",
    "slim_recipe",
    "slim_run",
]

# Weights that are nearly right want smaller steps than those that started at random.
_GENTLER = 1 / 3


def slim_run(
    directory: Path,
    out: Path,
    settings: SlimSettings,
    *,
    epochs: int,
    lr: float | None = None,
    distil: bool = True,
    data: Path | None = None,
    cache: Path | None = None,
    resume: bool = False,
) -> Run | AnomalyRun:
    """Make a run of any kind again with fewer channels, and train it on.

    Args:
        directory: the dense one.
        out: the slim run's folder; new or empty, or with `resume` that of a training to go on with.
        settings: what leaves.
        epochs: of training; 0: none.
        lr: highest learning rate; None: a third of the run's.
        distil: learn from the dense network, too.
        data: the dataset, where it moved.
        cache: of decoded videos; pictures have none.
        resume: go on with what lies in `out`.

    Raises:
        ConfigError: when the run's recipe does not allow it.
        VedetteError: as the training of its kind of run.
    """
    from vedette_train.anomaly.run import is_anomaly_run, open_anomaly_run

    if is_anomaly_run(directory):
        from vedette_train.anomaly.training import fit_anomaly

        detector = open_anomaly_run(directory)
        pictures = data or Path(detector.info.data_root)
        refuse_other_pictures(detector, pictures)
        of_pictures = slim_anomaly_recipe(detector, settings, epochs=epochs, lr=lr, distil=distil)
        return fit_anomaly(of_pictures, pictures, out, resume=resume)
    from vedette_train.evaluate import dataset_root
    from vedette_train.fit import fit

    run = open_run(directory)
    recipe = slim_recipe(run, settings, epochs=epochs, lr=lr, distil=distil)
    return fit(recipe, dataset_root(run, data), out, cache=cache, resume=resume)


def slim_recipe(
    run: Run, settings: SlimSettings, *, epochs: int, lr: float | None = None, distil: bool = True
) -> Recipe:
    """Return the recipe that slims a run and trains it on, its videos in the parts that they had.

    Args:
        run: the dense one.
        settings: what leaves.
        epochs: of training; 0: none.
        lr: highest rate of the classifier, the others in proportion; None: a third of the run's.
        distil: learn from the dense network, too.

    Raises:
        ConfigError: when the run's recipe does not allow it.
    """
    recipe, directory = run.recipe, run.directory.resolve()
    factor = lr / recipe.train.lr if lr else _GENTLER
    rates = {
        name: value * factor
        for name in ("lr", "lr_pointwise", "lr_spatial")
        if (value := getattr(recipe.train, name)) is not None
    }
    teacher = {"run": directory} if distil and epochs else None
    init = InitSettings(
        run=directory,
        slim=settings,
        freeze=recipe.init.freeze,
        freeze_batchnorm=recipe.init.freeze_batchnorm,
    )
    values = recipe.model_dump(mode="json")
    values["name"] = _named(recipe.name)
    values["init"] = init.model_dump(mode="json")
    values["data"]["split_file"] = str(directory / SPLIT_FILE)
    values["train"] |= {"epochs": epochs, "prune": None, "distil": teacher, **rates}
    return recipe_from_dict(values, f"the recipe of {run.directory}, slim")


def slim_anomaly_recipe(
    run: AnomalyRun, settings: SlimSettings, *, epochs: int, lr: float | None = None, distil: bool = True
) -> AnomalyRecipe:
    """Return the recipe that slims a run of anomaly detection and trains it on; see `slim_recipe`.

    Distilled is the backbone, which nothing else trains: it learns to give the dense one's features. Where it
    is not, it keeps its width, because what it would give is worth nothing.

    Raises:
        ConfigError: when the run's recipe does not allow it.
    """
    from vedette_train.anomaly.recipe import anomaly_recipe_from_dict

    values = run.recipe.model_dump(mode="json")
    values["name"] = _named(run.recipe.name)
    mend = epochs if distil else 0
    slim = settings.model_dump(mode="json") | {"keep": [*settings.keep, *([] if mend else ["reader"])]}
    values["init"] = {"run": run.directory.resolve(), "slim": slim, "mend": mend}
    values["train"] |= {"epochs": epochs, "lr": lr or run.recipe.train.lr * _GENTLER}
    return anomaly_recipe_from_dict(values, f"the recipe of {run.directory}, slim")


def refuse_other_pictures(run: AnomalyRun, data: Path) -> None:
    """Raise where a dataset is not the run's: what is held out now, it may have been trained on.

    Raises:
        DataError: when it is another one, or cannot be read.
    """
    from vedette_train.anomaly.folder import fingerprint, scan_anomaly

    found = fingerprint(scan_anomaly(data, test=run.recipe.data.test))
    if found != run.info.dataset:
        raise DataError(
            f"{data} holds other pictures ({found[:12]}...) than {run.directory} was trained on "
            f"({run.info.dataset[:12]}...); give those with --data"
        )


def compare(directory: Path, after: Run | AnomalyRun) -> list[Row]:
    """Return what a run, of any kind, and its slim one cost and are worth.

    Raises:
        DataError: when the dense run has no figures.
    """
    if isinstance(after, Run):
        return _compare_runs(open_run(directory), after)
    from vedette_train.anomaly.run import open_anomaly_run

    return _compare_anomaly_runs(open_anomaly_run(directory), after)


def _compare_runs(before: Run, after: Run) -> list[Row]:
    from vedette_train.report import read_metrics

    spec = before.recipe.data.input
    example = torch.zeros(1, spec.channels, spec.frames, spec.height, spec.width)
    dense, slim = measure([before.network(), after.network()], example)
    one, other = read_metrics(before.directory), read_metrics(after.directory)
    names = ("accuracy", "macro_f1")
    return rows(dense, slim, [(name.replace("_", " "), one[name], other[name]) for name in names])


def _compare_anomaly_runs(before: AnomalyRun, after: AnomalyRun) -> list[Row]:
    spec = before.recipe.spec
    example = torch.zeros(1, 3, spec.height, spec.width)
    dense, slim = measure([before.detector()[0], after.detector()[0]], example)
    one, other = (
        json.loads((run.directory / METRICS_FILE).read_text(encoding="utf-8")) for run in (before, after)
    )
    names = {"image AUROC": "image_auroc", "bad found": "found", "good passed": "passed"}
    return rows(dense, slim, [(name, one.get(key), other.get(key)) for name, key in names.items()])


def _named(name: str) -> str:
    return name if name.endswith("-slim") else f"{name}-slim"
