"""Trains a recipe into a run, read top to bottom: data, network, loop, weights, report.

A run that was interrupted goes on with `resume=True`, from its last finished epoch.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader

from vedette_edge.errors import UsageError
from vedette_train.classifier import ClipClassifier
from vedette_train.console import log, progress
from vedette_train.data.augment import clip_augmentation
from vedette_train.data.clips import TrainClips, ValClips
from vedette_train.data.folder import Video, fingerprint
from vedette_train.data.frames import cache_directory
from vedette_train.data.parts import Parts, load_parts
from vedette_train.history import EpochReport, read_history
from vedette_train.memory import keep_freed_memory
from vedette_train.models.inflate import inflate, load_imagenet_weights
from vedette_train.plots import plot_curves
from vedette_train.recipe import Recipe
from vedette_train.report import calibrate_run, report_run
from vedette_train.runs import (
    Run,
    RunInfo,
    Sample,
    build_network,
    library_versions,
    open_run,
    refuse_other_data,
    refuse_other_recipe,
    save_start,
    save_weights,
)

__all__ = ["fit"]

_CHECKPOINTS = "checkpoints"
# Warnings of Lightning that the user has nothing to do about.
_NOT_FOR_THE_USER = (
    ".*does not have many workers",  # kept frames load fast; train.workers raises it where it pays
    "Checkpoint directory .* exists and is not empty",  # that is what --resume means
    "The dirpath has changed",  # a run may be moved
    "You defined a `validation_step` but have no `val_dataloader`",  # data.val_share: 0
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # between Lightning and PyTorch
)


def fit(recipe: Recipe, data: Path, out: Path, *, resume: bool = False, cache: Path | None = None) -> Run:
    """Train a recipe.

    Args:
        recipe: what to train.
        data: folder of classes.
        out: the run's folder; must be new or empty unless `resume`.
        resume: go on from the last checkpoint of `out`.
        cache: folder for decoded frames; by default the user's cache.

    Returns:
        The finished run, its report written.

    Raises:
        UsageError: when `out` is not empty and `resume` is False, or the other way round.
        ConfigError: when a resumed run was started with another recipe; the differences are listed.
        DataError: when the dataset cannot be used or is not the resumed run's, or the loss is not finite.
    """
    keep_freed_memory()
    # Its notes on hardware and products of its own; what matters of them we say ourselves.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    _check_out(recipe, out, resume)
    L.seed_everything(recipe.seed, workers=True, verbose=False)
    cache = cache or cache_directory()
    parts = load_parts(recipe, data, cache)
    info = _info(parts, data)
    if resume:
        refuse_other_data(info, out)
    save_start(out, recipe, info)
    classifier = _classifier(recipe, parts)
    trainer = _trainer(recipe, out, validates=bool(parts.val))
    _run_loop(trainer, classifier, _loaders(recipe, parts, cache), out if resume else None)
    save_weights(out, _kept_weights(recipe, out, classifier))
    plot_curves(read_history(out), out / "curves.png")
    with progress("calibrate") as on_progress:
        run = calibrate_run(open_run(out), data, on_progress)
    with progress("evaluate") as on_progress:
        report_run(run, data, on_progress)
    return run


def _check_out(recipe: Recipe, out: Path, resume: bool) -> None:
    started = out.is_dir() and any(out.iterdir())
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; --out is the run's folder")
    if started and not resume:
        raise UsageError(f"{out} is not empty; add --resume to go on with it, or choose another --out")
    if resume and not started:
        raise UsageError(f"{out} holds no run to resume; leave --resume out to start one")
    if started:
        refuse_other_recipe(recipe, out)


def _info(parts: Parts, data: Path) -> RunInfo:
    labels = parts.folder.labels

    def samples(videos: Sequence[Video]) -> tuple[Sample, ...]:
        return tuple(Sample(name=v.name, label=labels[v.label], group=v.group or v.name) for v in videos)

    return RunInfo(
        labels=labels,
        data_root=str(data.resolve()),
        dataset=fingerprint(parts.folder),
        train=samples(parts.train),
        val=samples(parts.val),
        test=samples(parts.test),
        unreadable={item.video.name: item.reason for item in parts.unreadable},
        versions=library_versions(),
    )


def _classifier(recipe: Recipe, parts: Parts) -> ClipClassifier:
    labels = len(parts.folder.labels)
    network = build_network(recipe, labels)
    if recipe.init.weights:
        inflate(network, load_imagenet_weights(recipe.init.weights))
    return ClipClassifier(
        network,
        labels,
        recipe.train,
        class_weights=_class_weights(parts.train, labels) if recipe.train.balance else None,
        freeze_batchnorm=recipe.init.freeze_batchnorm,
    )


def _class_weights(videos: Sequence[Video], labels: int) -> Tensor:
    """Return n / (K * n_k) for each class k; 1 for a class without videos.

    Not 0, which would make the validation loss of a batch of that class 0 / 0.
    """
    counts = torch.bincount(torch.tensor([video.label for video in videos]), minlength=labels)
    weights = len(videos) / (labels * counts.clamp(min=1).float())
    return torch.where(counts > 0, weights, 1.0)


def _loaders(
    recipe: Recipe, parts: Parts, cache: Path
) -> tuple[DataLoader[object], DataLoader[object] | None]:
    settings, spec = recipe.train, recipe.data.input
    train = TrainClips(
        parts.train,
        spec,
        cache,
        clip_augmentation(spec, recipe.augment),
        clips_per_video=recipe.data.clips_per_video,
    )
    common = {
        "batch_size": settings.batch_size,
        "num_workers": settings.workers,
        "persistent_workers": settings.workers > 0,
        "pin_memory": torch.cuda.is_available(),
    }
    # Batch norm cannot learn from a last batch of one clip.
    drop_last = len(train) > settings.batch_size
    return (
        DataLoader(train, shuffle=True, drop_last=drop_last, **common),  # type: ignore[arg-type]
        DataLoader(ValClips(parts.val, spec, cache), **common) if parts.val else None,  # type: ignore[arg-type]
    )


def _trainer(recipe: Recipe, out: Path, *, validates: bool) -> L.Trainer:
    callbacks: list[Callback] = [
        EpochReport(out),
        # Not `save_last`, which saves only when there is a new best.
        ModelCheckpoint(out / _CHECKPOINTS, "last", enable_version_counter=False),
    ]
    if validates:
        callbacks.append(
            ModelCheckpoint(out / _CHECKPOINTS, "best", monitor="val_loss", enable_version_counter=False)
        )
    if recipe.train.patience:
        callbacks.append(EarlyStopping("val_loss", patience=recipe.train.patience))
    trainer = L.Trainer(
        max_epochs=recipe.train.epochs,
        precision=recipe.train.precision,
        devices=1,
        logger=TensorBoardLogger(out, name="", version="tensorboard"),
        callbacks=callbacks,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        enable_progress_bar=False,
        log_every_n_steps=1,
    )
    log(f"training on {_device_name(trainer)}")
    return trainer


def _device_name(trainer: L.Trainer) -> str:
    device = trainer.strategy.root_device
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type.upper()}, {torch.get_num_threads()} threads"


def _run_loop(
    trainer: L.Trainer,
    classifier: ClipClassifier,
    loaders: tuple[DataLoader[object], DataLoader[object] | None],
    resumed: Path | None,
) -> None:
    checkpoint = resumed / _CHECKPOINTS / "last.ckpt" if resumed else None
    if checkpoint and not checkpoint.is_file():
        log("no epoch was finished before: starting from the first", style="yellow")
        checkpoint = None
    with warnings.catch_warnings():
        for message in _NOT_FOR_THE_USER:
            warnings.filterwarnings("ignore", message=message)
        try:
            trainer.fit(classifier, *loaders, ckpt_path=str(checkpoint) if checkpoint else None)
        except SystemExit as error:  # Lightning's answer to Ctrl-C
            raise KeyboardInterrupt from error


def _kept_weights(recipe: Recipe, out: Path, classifier: ClipClassifier) -> nn.Module:
    """Return the network as the recipe wants it kept: after the last epoch, or after the best."""
    if recipe.train.keep == "best":
        # Not Lightning's `best_model_path`, which names the old place after the run was moved.
        path = out / _CHECKPOINTS / "best.ckpt"
        state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
        classifier.load_state_dict(state)
    return classifier.network
