"""Trains a recipe into a run, read top to bottom: data, network, loop, weights, report.

A run that was interrupted goes on with `resume=True`, from its last finished epoch, and ends bit for bit as
if it had never been interrupted (on a CPU; GPUs repeat themselves as far as their kernels do).
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from torch import Tensor, nn

from vedette_edge.errors import UsageError
from vedette_train.checkpoints import BEST, LAST, WholeFiles, checkpoint_callbacks, read_checkpoint
from vedette_train.classifier import ClipClassifier
from vedette_train.console import log, progress
from vedette_train.data.folder import Video, fingerprint
from vedette_train.data.frames import cache_directory
from vedette_train.data.parts import Parts, load_parts
from vedette_train.distributed import end_helpers, is_first, process_layout, silence_helpers
from vedette_train.explain.preview import write_debug_videos
from vedette_train.history import EpochReport, read_history
from vedette_train.loaders import Loaders, draws, make_loaders
from vedette_train.memory import keep_freed_memory
from vedette_train.order import BatchSeeds
from vedette_train.plots import plot_curves
from vedette_train.probe import probe
from vedette_train.prune import Pruning, check_ramp, zero_channels
from vedette_train.quantisation_aware import QuantisationAware
from vedette_train.recipe import Recipe
from vedette_train.report import calibrate_run, report_run
from vedette_train.resume import check_out, stop_on_sigterm
from vedette_train.runs import (
    Run,
    RunInfo,
    Sample,
    library_versions,
    open_run,
    refuse_other_data,
    save_start,
    save_weights,
)
from vedette_train.start import starting_network
from vedette_train.trackers import WandbTarget, attach_to_wandb, loggers

__all__ = ["fit", "train"]

# Warnings of Lightning and PyTorch that the user has nothing to do about.
_NOT_FOR_THE_USER = (
    ".*does not have many workers",  # kept frames load fast; train.workers raises it where it pays
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # between Lightning and PyTorch
    "You defined a `validation_step` but have no `val_dataloader`",  # data.val_share: 0
    "Found .* module.s. in eval mode at the start of training",  # frozen layers are
    "You passed `Trainer.accelerator='cpu', precision='16-mixed'",  # said in our words
    ".*does not have a deterministic implementation",  # as far as the kernels go
    "Detected call of `lr_scheduler.step",  # a loss scaler may skip a step
)


def fit(
    recipe: Recipe,
    data: Path,
    out: Path,
    *,
    resume: bool = False,
    cache: Path | None = None,
    devices: int = 1,
    wandb: WandbTarget | None = None,
    debug: bool = False,
) -> Run:
    """Train a recipe and measure what it learnt.

    Args:
        recipe: what to train.
        data: folder of classes.
        out: the run's folder; must be new or empty unless `resume`.
        resume: go on from the last checkpoint of `out`.
        cache: folder for decoded frames; by default the user's cache.
        devices: processes (GPUs) on this machine that train together; torchrun says so by itself.
        wandb: report to Weights & Biases, too.
        debug: write clips before and after augmentation into `debug_output`.

    Returns:
        The finished run, its report written.

    Raises:
        UsageError: when `out` is not empty and `resume` is False, or the other way round.
        ConfigError: when a resumed run was started with another recipe; the differences are listed.
        DataError: when the dataset cannot be used or is not the resumed run's, the loss is not finite, or
            the disk is full.
    """
    found = train(recipe, data, out, resume=resume, cache=cache, devices=devices, wandb=wandb, debug=debug)
    with progress("calibrate") as on_progress:
        run = calibrate_run(open_run(out), data, on_progress)
    with progress("evaluate") as on_progress:
        report_run(run, data, on_progress)
    if wandb:
        attach_to_wandb(found, out, recipe.name)
    return run


def train(
    recipe: Recipe,
    data: Path,
    out: Path,
    *,
    resume: bool = False,
    cache: Path | None = None,
    devices: int = 1,
    wandb: WandbTarget | None = None,
    debug: bool = False,
    callbacks: Sequence[Callback] = (),
) -> list[Logger]:
    """Train a recipe, write weights and curves, and measure nothing but the validation part.

    Every process but the first ends in here.

    Args:
        recipe: as for `fit`, and so are all others.
        data: see `fit`.
        out: see `fit`.
        resume: see `fit`.
        cache: see `fit`.
        devices: see `fit`.
        wandb: see `fit`.
        debug: see `fit`.
        callbacks: more that watch the loop.

    Returns:
        The loggers, still open.

    Raises:
        VedetteError: as `fit`.
    """
    keep_freed_memory()
    silence_helpers()
    # Its notes on hardware and products of its own; what matters of them we say ourselves.
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    check_ramp(recipe.train)
    if is_first():
        check_out(recipe, out, resume=resume)
    L.seed_everything(recipe.seed, workers=True, verbose=False)
    cache = cache or cache_directory()
    parts = load_parts(recipe, data, cache)
    info = _info(parts, data)
    if is_first():
        if resume:
            refuse_other_data(info, out)
        save_start(out, recipe, info)
    if debug and is_first():
        write_debug_videos(recipe, parts.train, cache, out / "debug_output")
    found = loggers(out, recipe, wandb)
    watching = [
        *([Pruning(recipe.train.prune)] if recipe.train.prune else []),
        *([QuantisationAware(recipe.train.quantise)] if recipe.train.quantise else []),
        EpochReport(out),
        *checkpoint_callbacks(out, recipe.train, measured=bool(parts.val)),
        *callbacks,
    ]
    with warnings.catch_warnings(), stop_on_sigterm():
        for message in _NOT_FOR_THE_USER:
            warnings.filterwarnings("ignore", message=message)
        trainer = _trainer(recipe, found, watching, devices)
        loaders = make_loaders(recipe, parts, cache, world=trainer.world_size, rank=trainer.global_rank)
        classifier = _classifier(recipe, parts)
        trainer.callbacks.append(BatchSeeds(recipe.seed, loaders.order))  # type: ignore[attr-defined]
        checkpoint = _checkpoint(out) if resume else None
        if recipe.init.probe and checkpoint is None:
            _probe(recipe, parts, cache, classifier.network)
        if recipe.train.epochs:
            _run_loop(trainer, classifier, loaders, checkpoint)
    end_helpers()
    _save(recipe, out, classifier, measured=bool(parts.val))
    return found


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
    labels = parts.folder.labels
    return ClipClassifier(
        starting_network(recipe, labels),
        len(labels),
        recipe.train,
        class_weights=_class_weights(parts.train, len(labels)) if recipe.train.balance else None,
        freeze_batchnorm=recipe.init.freeze_batchnorm,
        names=[video.name for video in parts.train for _ in range(recipe.data.clips_per_video)],
    )


def _class_weights(videos: Sequence[Video], labels: int) -> Tensor:
    """Return n / (K * n_k) for each class k; 1 for a class without videos.

    Not 0, which would make the validation loss of a batch of that class 0 / 0.
    """
    counts = torch.bincount(torch.tensor([video.label for video in videos]), minlength=labels)
    weights = len(videos) / (labels * counts.clamp(min=1).float())
    return torch.where(counts > 0, weights, 1.0)


def _probe(recipe: Recipe, parts: Parts, cache: Path, network: nn.Module) -> None:
    groups = [video.group or video.name for video in parts.train for _ in range(recipe.data.clips_per_video)]
    batches = draws(recipe, parts, cache, recipe.init.probe)
    with progress("fit the last layer") as on_progress:
        found = probe(network, batches, groups, balance=recipe.train.balance, on_progress=on_progress)
    log(f"last layer fitted on frozen features of {len(groups)} clips, penalty C = {found.strength:.0e}")


def _trainer(recipe: Recipe, found: list[Logger], watching: list[Callback], devices: int) -> L.Trainer:
    settings = recipe.train
    try:
        trainer = L.Trainer(
            max_epochs=settings.epochs,
            precision=settings.precision,
            gradient_clip_val=settings.grad_clip,
            deterministic="warn",
            logger=found,
            callbacks=watching,
            plugins=[WholeFiles()],
            use_distributed_sampler=False,
            sync_batchnorm=torch.cuda.is_available(),
            num_sanity_val_steps=0,
            enable_model_summary=False,
            enable_progress_bar=False,
            log_every_n_steps=1,
            **process_layout(devices),
        )
    except (MisconfigurationException, ValueError) as error:
        raise UsageError(f"cannot train on {devices} devices here: {error}") from error
    # Comes with `deterministic`, costs a seventh of a step, and serves only what reads memory unwritten.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    log(f"training on {_device_name(trainer)}")
    return trainer


def _device_name(trainer: L.Trainer) -> str:
    device = trainer.strategy.root_device
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = f"{device.type.upper()}, {torch.get_num_threads()} threads"
    return name if trainer.world_size == 1 else f"{name}, {trainer.world_size} processes"


def _checkpoint(out: Path) -> Path | None:
    if (out / LAST).is_file():
        return out / LAST
    log("no epoch was finished before: starting from the first", style="yellow")
    return None


def _run_loop(
    trainer: L.Trainer, classifier: ClipClassifier, loaders: Loaders, checkpoint: Path | None
) -> None:
    settings = classifier.settings
    if trainer.precision_plugin.precision != settings.precision.replace("32", "32-true"):
        log("this device has no 16-bit floats with a loss scaler: training in bf16-mixed", style="yellow")
    if settings.limit_batches < 1:
        trainer.limit_train_batches = math.ceil(settings.limit_batches * len(loaders.training))
    try:
        trainer.fit(
            classifier,
            loaders.training,
            loaders.validation,
            ckpt_path=str(checkpoint) if checkpoint else None,
        )
    except SystemExit as error:
        if error.code == 1:  # Lightning's answer to Ctrl-C
            raise KeyboardInterrupt from error
        raise


def _save(recipe: Recipe, out: Path, classifier: ClipClassifier, *, measured: bool) -> None:
    """Write the weights as the recipe wants them kept, after the last epoch or after the best, and curves."""
    if recipe.train.keep == "best" and measured and recipe.train.epochs:
        classifier.load_state_dict(read_checkpoint(out / BEST)["state_dict"])
    save_weights(out, classifier.network)
    if recipe.train.prune:
        zero, channels = zero_channels(classifier.network)
        log(f"pruned: {zero} of {channels} channels are zero ({zero / channels:.1%})")
    if recipe.train.epochs:
        plot_curves(read_history(out), out / "curves.png")
