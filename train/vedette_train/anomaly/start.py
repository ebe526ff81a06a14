"""What a detector's training starts from: new weights, or those of a run, with channels removed if wanted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from vedette_train.anomaly.backbones import FeatureReader
from vedette_train.anomaly.detectors import Detector, build_detector
from vedette_train.anomaly.recipe import AnomalyRecipe
from vedette_train.anomaly.run import open_anomaly_run, read_calibrated
from vedette_train.anomaly.samples import TrainingPictures, batches
from vedette_train.runs import MODEL_FILE
from vedette_train.slim.cut import cut
from vedette_train.slim.record import Slimming, read_slimming
from vedette_train.slim.settings import SlimSettings

__all__ = ["dense_reader", "slim_detector", "starting_detector"]

_SIDE = 128  # pixels that are enough to trace a detector


def starting_detector(recipe: AnomalyRecipe, pictures: TrainingPictures) -> Detector:
    """Build the recipe's detector as its training starts.

    Args:
        recipe: its `backbone`, `anomaly` and `init` sections count.
        pictures: to train on.

    Raises:
        ConfigError: when `init.slim.keep` names no layer.
        DataError: when the weights cannot be had, or those of `init.run` are another detector's.
    """
    settings = recipe.init
    if settings.run is None:
        return build_detector(recipe)
    run = open_anomaly_run(settings.run)
    detector = build_detector(recipe, weights=False)
    if slimming := read_slimming(run.directory):
        cut(detector, slimming)
    read_calibrated(run.directory / MODEL_FILE, detector)
    if settings.slim:
        size = recipe.train.batch_size
        chosen = list(batches(len(pictures), size, range(len(pictures))))[: settings.slim.batches]
        slim_detector(detector, recipe, settings.slim, _losses(detector, pictures, chosen))
    return detector


def dense_reader(recipe: AnomalyRecipe) -> FeatureReader:
    """Return the backbone that `init.run` has, in evaluation mode: what a slim one learns from.

    Raises:
        DataError: when the run cannot be read.
    """
    assert recipe.init.run is not None
    return open_anomaly_run(recipe.init.run).detector()[0].reader


def slim_detector(
    detector: Detector, recipe: AnomalyRecipe, settings: SlimSettings, losses: Iterator[Tensor] | None = None
) -> Slimming:
    """Remove the least important channels of a detector, in place.

    Backbone and head lose inner channels. The channels of the layers that are read stay, so that what the
    detector compares, and the mean, deviation and patches it kept of them, are still of the same features.

    Args:
        detector: in evaluation mode.
        recipe: its.
        settings: how many, and by which importance.
        losses: of some batches, for importance "taylor".

    Returns:
        What was kept.

    Raises:
        ConfigError: when `settings.keep` names no layer, or "taylor" has no losses.
    """
    # Only now, because it brings torch-pruning.
    from vedette_train.slim.groups import find_groups
    from vedette_train.slim.remove import slim_groups

    spec = recipe.spec
    groups = find_groups(
        detector,
        lambda images: detector.whole_map(detector.features(images)),
        (1, 3, min(spec.height, _SIDE), min(spec.width, _SIDE)),
        keep=settings.keep,
        fixed=(detector.reads,),
    )
    return slim_groups(detector, groups, settings, losses)


def _losses(
    detector: Detector, pictures: TrainingPictures, chosen: Sequence[Sequence[int]]
) -> Iterator[Tensor]:
    for batch in chosen:
        images, masks = (torch.stack(part) for part in zip(*(pictures(i, 0) for i in batch), strict=True))
        yield detector.loss(detector.features(images), masks)
