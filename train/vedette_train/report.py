"""Writes what a run is worth: metrics.json, predictions.csv, pictures and the model card.

Epochs and temperature are chosen on the validation part; what is written here is measured on the test part,
on which nothing is chosen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vedette_edge.errors import DataError
from vedette_edge.files import write_atomically
from vedette_train.calibration import (
    BOUNDS,
    Bins,
    fit_temperature,
    negative_log_likelihood,
    reliability,
)
from vedette_train.card import model_card
from vedette_train.console import log
from vedette_train.data.split import PartName
from vedette_train.evaluate import WindowLogits, judge_part, predictions_of, windows_of
from vedette_train.metrics import (
    bootstrap_weights,
    confusion,
    figures,
    per_label,
    positive_label,
    scored,
)
from vedette_train.plots import plot_confusion, plot_reliability, plot_roc
from vedette_train.predictions import Prediction, write_predictions
from vedette_train.runs import (
    CARD_FILE,
    METRICS_FILE,
    PREDICTIONS_FILE,
    Calibration,
    Run,
    open_run,
    save_info,
)

__all__ = ["Subject", "calibrate_run", "read_metrics", "report_run", "write_report"]

Progress = Callable[[int, int], None]

_INTERVALS = (
    "Wilson for accuracy, precision, recall and specificity; bootstrap over {groups} groups for the others"
)


@dataclass(frozen=True, slots=True)
class Subject:
    """What predictions are of.

    Attributes:
        labels: the classes, in the network's order.
        split: which videos, for a reader: "test, fold 0 of 5 by group, ...".
        background: labels that raise no alarm.
    """

    labels: tuple[str, ...]
    split: str
    background: tuple[str, ...] = ()


def calibrate_run(run: Run, data: Path | None = None, on_progress: Progress | None = None) -> Run:
    """Fit the temperature on the windows of the validation part, and keep it in run.json.

    Args:
        run: a run whose weights are written.
        data: the dataset's folder, where it moved.
        on_progress: called with (done, total).

    Returns:
        The run with its calibration; as it was, which is told, where the recipe forbids one, there is no
        validation part, or that is so small that it wants a temperature at the bounds.

    Raises:
        DataError: when a video is missing or cannot be read.
    """
    if not run.recipe.train.calibrate:
        log("temperature: as the recipe has it, because train.calibrate is false")
        return run
    if not run.info.val:
        log("temperature: as the recipe has it, because there is no validation part to fit it on")
        return run
    judged = judge_part(run, "val", data, on_progress)
    logits, truth = windows_of(run, judged)
    before, after = run.recipe.decision.temperature, fit_temperature(logits, truth)
    fitted_on = f"{len(truth)} windows of {len(judged)} validation videos"
    if min(abs(np.log(after / bound)) for bound in BOUNDS) < 0.01:
        log(f"temperature: as the recipe has it, because {fitted_on} want an absurd one ({after:.2f})")
        return run
    calibration = Calibration(
        temperature=after,
        videos=len(judged),
        windows=len(truth),
        nll_before=negative_log_likelihood(logits, truth, before),
        nll_after=negative_log_likelihood(logits, truth, after),
    )
    log(f"temperature: {after:.2f} instead of {before:.2f}, fitted on {fitted_on}")
    save_info(run.directory, run.info.model_copy(update={"calibration": calibration}))
    return open_run(run.directory)


def report_run(
    run: Run,
    data: Path | None = None,
    on_progress: Progress | None = None,
    part: PartName | None = None,
) -> Path:
    """Judge a part of a run and write what came of it.

    Args:
        run: a finished run.
        data: the dataset's folder, where it moved.
        on_progress: called with (done, total).
        part: by default the one that the run reports.

    Returns:
        Where it was written: the run's folder, or for another part a folder of its name in it.

    Raises:
        DataError: when the part is empty, or one of its videos is missing or cannot be read.
    """
    part = part or run.info.reported_part
    if not run.info.part(part):
        raise DataError(f"{run.directory} has no {part} part; its split is in split.csv")
    judged = judge_part(run, part, data, on_progress)
    directory = run.directory if part == run.info.reported_part else run.directory / part
    directory.mkdir(exist_ok=True)
    subject = Subject(run.info.labels, run.name_of(part), run.recipe.data.background)
    calibration, curves = _calibration(run, judged)
    plot_reliability(curves, directory / "reliability.png")
    metrics = write_report(directory, subject, predictions_of(run, judged), {"calibration": calibration})
    write_atomically(directory / CARD_FILE, model_card(run, metrics).encode())
    return directory


def write_report(
    directory: Path,
    subject: Subject,
    predictions: Sequence[Prediction],
    more: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Write metrics.json, predictions.csv, confusion.png and roc.png; return the metrics.

    Args:
        directory: where to write.
        subject: what the predictions are of.
        predictions: one a video, at least one.
        more: what metrics.json shall hold beside.
    """
    labels, positive = subject.labels, positive_label(subject.labels, subject.background)
    data = scored(predictions, labels, positive)
    weights = bootstrap_weights(data.groups)
    found = figures(data, weights)
    metrics: dict[str, Any] = {
        "split": subject.split,
        "positive": positive,
        "intervals": _INTERVALS.format(groups=int(data.groups.max()) + 1),
        **{name: asdict(figure) for name, figure in found.items()},
        "labels": {
            label: {name: asdict(figure) if figure else None for name, figure in row.items()}
            for label, row in per_label(data, labels, weights).items()
        },
        "confusion": confusion(data.truth.tolist(), data.found.tolist(), len(labels)).tolist(),
        **(more or {}),
    }
    write_predictions(directory / PREDICTIONS_FILE, labels, predictions)
    plot_confusion(
        np.asarray(metrics["confusion"]), labels, f"accuracy {found['accuracy']}", directory / "confusion.png"
    )
    plot_roc(data, labels, weights, directory / "roc.png")
    # Last, because it is what says that a report is whole.
    write_atomically(directory / METRICS_FILE, (json.dumps(metrics, indent=2) + "\n").encode())
    return metrics


def read_metrics(directory: Path) -> dict[str, Any]:
    """Read metrics.json of a run, or of a cross-validation.

    Raises:
        DataError: when it is missing or is not the metrics of this version.
    """
    path = directory / METRICS_FILE
    try:
        metrics: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for key in ("split", "positive", "labels", "intervals"):
            metrics[key]
        {key: float(metrics["accuracy"][key]) for key in ("value", "low", "high", "samples")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: not the metrics of a run ({error!r}); run  vedette-train evaluate {directory}  first"
        ) from error
    return metrics


def _calibration(run: Run, judged: Sequence[WindowLogits]) -> tuple[dict[str, Any], dict[str, Bins]]:
    """Return how far off the windows' probabilities are before and after calibration, and their bins."""
    logits, truth = windows_of(run, judged)
    before, curve = reliability(logits, truth, run.recipe.decision.temperature)
    found: dict[str, Any] = {
        "before": before.to_dict(),
        "after": None,
        "temperature": run.decision.temperature,
    }
    curves = {f"ECE {before.ece:.3f} at temperature {run.recipe.decision.temperature:.2f}": curve}
    if run.info.calibration:
        after, curve = reliability(logits, truth, run.decision.temperature)
        found["after"] = after.to_dict()
        curves[f"ECE {after.ece:.3f} at temperature {run.decision.temperature:.2f}"] = curve
    return found, curves
