"""The training step, as a LightningModule: loss, metrics, optimiser, learning rate."""

from __future__ import annotations

import math
from typing import Any, cast

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import lightning as L
import torch
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

from vedette_edge.errors import DataError
from vedette_train.losses import evidence_in_quiet_places
from vedette_train.models import HeatmapModel
from vedette_train.models.layers import PaddedConv3d
from vedette_train.recipe import TrainSettings

__all__ = ["ClipClassifier", "parameter_groups", "warmup_cosine"]

Batch = tuple[Tensor, Tensor]


class ClipClassifier(L.LightningModule):
    """Trains a network that maps clips (N, 3, T, H, W) to logits (N, K).

    Logs `train_loss`, `val_loss`, `train_accuracy` and `val_accuracy`, one value an epoch.
    """

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        settings: TrainSettings,
        *,
        class_weights: Tensor | None = None,
        freeze_batchnorm: bool = False,
    ) -> None:
        """Train `network`; see `TrainSettings` for the knobs."""
        super().__init__()
        self.network = network
        self.settings = settings
        self.freeze_batchnorm = freeze_batchnorm
        self.loss = nn.CrossEntropyLoss(class_weights, label_smoothing=settings.label_smoothing)
        self.train_accuracy = MulticlassAccuracy(num_classes, average="micro")
        self.val_accuracy = MulticlassAccuracy(num_classes, average="micro")

    def train(self, mode: bool = True) -> ClipClassifier:
        """Switch to training mode; frozen batch norm keeps its running statistics."""
        super().train(mode)
        if self.freeze_batchnorm:
            for module in self.network.modules():
                if isinstance(module, nn.BatchNorm3d):
                    module.eval()
        return self

    def on_train_epoch_start(self) -> None:
        """Switch to training mode, which Lightning leaves to the module."""
        self.train()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch.

        Raises:
            DataError: when the loss is not finite, with the number of the batch.
        """
        loss = self._measure(batch, "train", self.train_accuracy)
        if not torch.isfinite(loss):
            raise DataError(
                f"the loss is {loss.item()} at batch {batch_idx} of epoch {self.current_epoch}; lower "
                "train.lr, or look for broken videos; the last checkpoint is intact"
            )
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        """Log the loss and accuracy of a batch."""
        self._measure(batch, "val", self.val_accuracy)

    def _measure(self, batch: Batch, part: str, metric: MulticlassAccuracy) -> Tensor:
        clips, labels = batch
        logits, penalty = self._forward(clips, labels)
        loss: Tensor = self.loss(logits, labels) + penalty
        metric(logits, labels)
        options: dict[str, Any] = {"on_step": False, "on_epoch": True, "prog_bar": True}
        self.log(f"{part}_loss", loss, batch_size=len(labels), **options)
        self.log(f"{part}_accuracy", metric, batch_size=len(labels), **options)
        return loss

    def _forward(self, clips: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits and what is added to the loss."""
        if not (self.training and self.settings.locality):
            return self.network(clips), clips.new_zeros(())
        network = cast(HeatmapModel, self.network)
        logits, heatmap = network.forward_with_heatmap(clips)
        quiet = evidence_in_quiet_places(clips, heatmap, labels, network.heatmap_cells)
        return logits, self.settings.locality * quiet

    def configure_optimizers(self) -> Any:
        """Return the optimiser with a rate for each kind of layer, warmed up, then falling along a cosine."""
        groups, decay = parameter_groups(self.network, self.settings), self.settings.weight_decay
        optimizer: torch.optim.Optimizer
        if self.settings.optimizer == "sgd":
            optimizer = torch.optim.SGD(groups, momentum=0.9, nesterov=True, weight_decay=decay)
        else:
            optimizer = torch.optim.AdamW(groups, weight_decay=decay)
        steps = int(self.trainer.estimated_stepping_batches)
        warm = max(1, round(self.settings.warmup * steps))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warmup_cosine(step, warm, steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def warmup_cosine(step: int, warm: int, steps: int) -> float:
    """Return the factor on the learning rate: linear from 0 to 1 over `warm` steps, then a cosine to 0."""
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, steps - warm))))


def parameter_groups(network: nn.Module, settings: TrainSettings) -> list[dict[str, Any]]:
    """Divide the parameters by kind of layer: classifier, 1x1x1 convolutions, everything else.

    Weights that come from ImageNet bear far lower rates than a new classifier.
    """
    kinds: dict[str, list[nn.Parameter]] = {"classifier": [], "pointwise": [], "spatial": []}
    for module in network.modules():
        if isinstance(module, nn.Linear):
            kind = "classifier"
        elif isinstance(module, PaddedConv3d) and max(module.kernel_size) == 1:
            kind = "pointwise"
        else:
            kind = "spatial"
        kinds[kind].extend(module.parameters(recurse=False))
    rates = {
        "classifier": settings.lr,
        "pointwise": settings.lr_pointwise or settings.lr,
        "spatial": settings.lr_spatial or settings.lr,
    }
    return [{"params": kinds[kind], "lr": rates[kind], "name": kind} for kind in kinds if kinds[kind]]
