"""The training step, as a LightningModule: loss, metrics, optimiser, learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
    MulticlassPrecision,
    MulticlassRecall,
)

from vedette_edge.errors import DataError
from vedette_train.losses import distillation, evidence_in_quiet_places, symmetric_divergence
from vedette_train.models import HeatmapModel
from vedette_train.order import names_of
from vedette_train.recipe import TrainSettings
from vedette_train.schedule import make_optimizer, make_plateau, make_schedule
from vedette_train.slim.cut import slimming_of

__all__ = ["ClipClassifier"]

_EPOCH: dict[str, Any] = {"on_step": False, "on_epoch": True}


class ClipClassifier(L.LightningModule):
    """Trains a network that maps clips (N, C, T, H, W) to logits (N, K).

    Logs `train_loss`, `train_accuracy`, `val_loss`, `val_accuracy`, and macro `val_f1`, `val_precision`
    and `val_recall`, one value an epoch, over all processes. `confusion` has the counts of the last
    validation, rows the truth, columns the prediction; None before the first.
    """

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        settings: TrainSettings,
        *,
        class_weights: Tensor | None = None,
        freeze_batchnorm: bool = False,
        names: Sequence[str] = (),
        teacher: nn.Module | None = None,
    ) -> None:
        """Train `network`; see `TrainSettings` for the knobs.

        Args:
            network: maps clips to logits; parameters without gradient stay as they are.
            num_classes: K.
            settings: the knobs.
            class_weights: (K,) weights of the classes in the loss.
            freeze_batchnorm: keep all running statistics.
            names: name of the video behind each item of the training set, for messages.
            teacher: for `settings.distil`, in evaluation mode; no part of this module or its checkpoints.
        """
        super().__init__()
        self.network = network
        self.settings = settings
        self.freeze_batchnorm = freeze_batchnorm
        self.names = names
        self._teacher = (teacher,)  # in a tuple, where a module does not become part of this one
        self.plateau: ReduceLROnPlateau | None = None
        self.loss = nn.CrossEntropyLoss(class_weights, label_smoothing=settings.label_smoothing)
        self.train_accuracy = MulticlassAccuracy(num_classes, average="micro")
        self.val_metrics = MetricCollection(
            {
                "accuracy": MulticlassAccuracy(num_classes, average="micro"),
                "f1": MulticlassF1Score(num_classes, average="macro"),
                "precision": MulticlassPrecision(num_classes, average="macro"),
                "recall": MulticlassRecall(num_classes, average="macro"),
            },
            prefix="val_",
        )
        self.val_confusion = MulticlassConfusionMatrix(num_classes)
        self.confusion: list[list[int]] | None = None

    def train(self, mode: bool = True) -> ClipClassifier:
        """Switch to training mode; frozen batch norm keeps its running statistics."""
        super().train(mode)
        for module in self.network.modules():
            if isinstance(module, _BatchNorm) and (self.freeze_batchnorm or _is_frozen(module)):
                module.eval()
        return self

    def on_train_epoch_start(self) -> None:
        """Switch to training mode, which Lightning leaves to the module."""
        self.train()

    def training_step(self, batch: Sequence[Tensor], batch_idx: int) -> Tensor:
        """Return the loss of a batch: clips, labels, and where they are known the items' numbers.

        Clips (N, 2, C, T, H, W) are pairs, for `settings.consistency`.

        Raises:
            DataError: when the loss is not finite, with the number of the batch and its videos.
        """
        clips, labels, *items = batch
        paired = clips.ndim == 6
        if paired:
            clips, labels = clips.transpose(0, 1).flatten(0, 1), labels.repeat(2)
        logits, penalty = self._forward(clips, labels)
        loss = self._taught(clips, logits, self.loss(logits, labels)) + penalty
        if paired:
            loss = loss + self.settings.consistency * symmetric_divergence(*logits.chunk(2))
        if not torch.isfinite(loss):
            raise DataError(self._not_finite(loss, batch_idx, items))
        self.train_accuracy(logits, labels)
        self.log("train_loss", loss, batch_size=len(labels), sync_dist=True, **_EPOCH)
        self.log("train_accuracy", self.train_accuracy, batch_size=len(labels), **_EPOCH)
        return loss

    def validation_step(self, batch: Sequence[Tensor], batch_idx: int) -> None:  # noqa: ARG002 - Lightning's
        """Log the loss and the metrics of a batch."""
        clips, labels = batch
        logits = self.network(clips).float()
        self.val_metrics(logits, labels)
        self.val_confusion.update(logits, labels)
        self.log("val_loss", self.loss(logits, labels), batch_size=len(labels), sync_dist=True, **_EPOCH)
        self.log_dict(self.val_metrics, batch_size=len(labels), **_EPOCH)

    def on_validation_epoch_end(self) -> None:
        """Gather the confusion matrix from all processes."""
        self.confusion = self.val_confusion.compute().tolist()
        self.val_confusion.reset()

    def _forward(self, clips: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits, float32 whatever the precision, and what is added to the loss."""
        if not self.settings.locality:
            return self.network(clips).float(), clips.new_zeros(())
        network = cast(HeatmapModel, self.network)
        logits, heatmap = network.forward_with_heatmap(clips)
        quiet = evidence_in_quiet_places(clips, heatmap, labels, network.heatmap_cells)
        return logits.float(), self.settings.locality * quiet

    def _taught(self, clips: Tensor, logits: Tensor, loss: Tensor) -> Tensor:
        """Return the loss of the labels, or a mixture of it with the distance from the teacher."""
        (teacher,), distil = self._teacher, self.settings.distil
        if teacher is None or distil is None:
            return loss
        with torch.no_grad():
            wanted = teacher.to(clips.device)(clips).float()
        return (1 - distil.weight) * loss + distil.weight * distillation(logits, wanted, distil.temperature)

    def _not_finite(self, loss: Tensor, batch_idx: int, items: Sequence[Tensor]) -> str:
        videos = f" ({names_of(items[0].tolist(), self.names)})" if items and self.names else ""
        return (
            f"the loss is {loss.item()} at batch {batch_idx + 1} of epoch {self.current_epoch + 1}{videos}; "
            "lower train.lr, or look for broken videos; the last checkpoint is intact"
        )

    def configure_optimizers(self) -> Any:
        """Return the optimiser with a rate for each kind of layer, and what changes the rates."""
        optimizer = make_optimizer(self.network, self.settings)
        self.plateau = make_plateau(optimizer, self.settings)
        schedule = make_schedule(optimizer, self.settings, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_epoch_end(self) -> None:
        """Let the rate fall after epochs without gain.

        Here and not by Lightning, which does so after it has written the checkpoint.
        """
        if self.plateau:
            self.plateau.step(self.trainer.callback_metrics[self.settings.monitor])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the state of the plateau, and what was removed from the network."""
        if self.plateau:
            checkpoint["plateau"] = self.plateau.state_dict()
        if slimming := slimming_of(self.network):
            checkpoint["slimming"] = slimming.model_dump_json()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the state of the plateau until the optimiser is made."""
        self._plateau_state = checkpoint.get("plateau")

    def on_train_start(self) -> None:
        """Go on with the plateau's state."""
        state = getattr(self, "_plateau_state", None)
        if self.plateau and state:
            self.plateau.load_state_dict(state)


def _is_frozen(module: nn.Module) -> bool:
    parameters = list(module.parameters(recurse=False))
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)
