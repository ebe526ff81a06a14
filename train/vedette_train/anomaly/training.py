"""Trains an anomaly recipe into a run, read top to bottom: data, detector, loop, threshold, report.

A run that was interrupted goes on with `resume=True` from its last finished epoch, and ends with the weights
that it would have had anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from vedette_edge.errors import ConfigError, UsageError
from vedette_train.anomaly.detectors import Detector
from vedette_train.anomaly.evaluate import evaluate_anomaly, judge, write_anomaly_report
from vedette_train.anomaly.folder import (
    AnomalyFolder,
    Picture,
    fingerprint,
    group_twins,
    hold_out,
    scan_anomaly,
    without_damaged,
)
from vedette_train.anomaly.loop import TrainingLoop, read_losses
from vedette_train.anomaly.pictures import plot_losses
from vedette_train.anomaly.recipe import AnomalyRecipe
from vedette_train.anomaly.run import (
    AnomalyInfo,
    AnomalyRun,
    Calibration,
    open_anomaly_run,
    refuse_change,
    save_anomaly_start,
    save_calibrated,
)
from vedette_train.anomaly.threshold import Threshold, fit_threshold
from vedette_train.console import log
from vedette_train.memory import keep_freed_memory
from vedette_train.runs import INFO_FILE, MODEL_FILE, library_versions

__all__ = ["choose_device", "deal", "fit_anomaly"]


def fit_anomaly(recipe: AnomalyRecipe, data: Path, out: Path, *, resume: bool = False) -> AnomalyRun:
    """Train a detector on good pictures, fit its threshold, and judge the test pictures.

    Args:
        recipe: what to train.
        data: folder with train/good, test/good and test/bad.
        out: the run's folder; must be new or empty unless `resume`.
        resume: go on from the last finished epoch of `out`.

    Returns:
        The finished run, its report written.

    Raises:
        UsageError: when `out` is not empty and `resume` is False, or the other way round.
        ConfigError: when a resumed run was started with another recipe, or the device is not there.
        DataError: when the data cannot be used or is not the resumed run's, or the loss is not finite.
    """
    _check_out(out, resume)
    keep_freed_memory()
    torch.manual_seed(recipe.seed)
    device = choose_device(recipe.train.device)
    folder = scan_anomaly(data, test=recipe.data.test)
    train, held_out, damaged = deal(folder, recipe)
    info = AnomalyInfo(
        data_root=str(data.resolve()),
        dataset=fingerprint(folder),
        train=tuple(picture.name for picture in train),
        held_out=tuple(picture.name for picture in held_out),
        damaged=damaged,
        versions=library_versions(),
    )
    if resume and (out / INFO_FILE).is_file():
        refuse_change(recipe, info, out)
    save_anomaly_start(out, recipe, info)
    loop = TrainingLoop(recipe, train, held_out, out, device)
    loop.run(resume=resume)
    calibration, threshold = _calibrate(loop.detector, recipe, held_out, train)
    save_calibrated(out / MODEL_FILE, loop.detector.cpu(), calibration)
    if recipe.train.epochs:
        plot_losses(read_losses(out), out / "curves.png")
    run = open_anomaly_run(out)
    judged = evaluate_anomaly(run, data) if recipe.data.test else []
    write_anomaly_report(run, judged, threshold)
    return run


def choose_device(wanted: str) -> torch.device:
    """Return the device that a recipe names; "auto" takes a GPU where there is one.

    Raises:
        ConfigError: when it names a GPU and there is none.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError("train.device is cuda, but PyTorch sees no GPU; set train.device: auto")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def _check_out(out: Path, resume: bool) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; --out is the run's folder")
    started = out.is_dir() and any(out.iterdir())
    if started and not resume:
        raise UsageError(f"{out} is not empty; add --resume to go on with it, or choose another --out")
    if resume and not started:
        raise UsageError(f"{out} holds no run to resume; leave --resume out to start one")


def deal(folder: AnomalyFolder, recipe: AnomalyRecipe) -> tuple[list[Picture], list[Picture], dict[str, str]]:
    """Leave out damaged pictures and hold some of the good ones out, twins together.

    Returns:
        Those to train on, those that are held out, and by path why one was left out.

    Raises:
        DataError: when more are damaged than the recipe allows.
    """
    whole, damaged = without_damaged(folder.train, recipe.data.max_unreadable)
    for reason in damaged.values():
        log(f"left out: {reason}", style="yellow")
    paths = [picture.path for picture in whole]
    groups = list(range(len(whole))) if recipe.faithful else group_twins(paths)
    kept, held = hold_out(groups, recipe.data.val_share, recipe.seed)
    grouped = [replace(picture, group=group) for picture, group in zip(whole, groups, strict=True)]
    log(
        f"{len(kept)} good pictures to train on, {len(held)} held out, "
        f"{len(set(groups))} groups of near-duplicates"
    )
    return [grouped[index] for index in kept], [grouped[index] for index in held], damaged


def _calibrate(
    detector: Detector, recipe: AnomalyRecipe, held_out: Sequence[Picture], train: Sequence[Picture]
) -> tuple[Calibration, Threshold]:
    """Fit threshold and range of the map on good pictures."""
    chosen = held_out if recipe.threshold.fit_on == "held_out" else train
    judged = list(judge(detector, [picture.path for picture in chosen], recipe))
    threshold = fit_threshold([one.score for one in judged], recipe.threshold)
    log(
        f"threshold {threshold.value:.4g} ({threshold.rule}): {threshold.alarms} of "
        f"{threshold.pictures} good pictures reach it, "
        f"95 % interval of false alarms {threshold.low:.3f} to {threshold.high:.3f}"
    )
    if threshold.warning:
        log(threshold.warning, style="yellow")
    low, high = min(float(one.map.min()) for one in judged), max(float(one.map.max()) for one in judged)
    return Calibration(threshold.value, low, high), threshold
