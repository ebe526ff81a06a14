"""Checkpoints of a training: whole or not there at all, the best, the last, and if wanted each epoch's.

Everything a training goes on from is in `last.ckpt`: weights, optimiser, schedule, loss scaler, early
stopping, masks. Random numbers need no place there, see `vedette_train.order`.
"""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, Checkpoint, EarlyStopping
from lightning.pytorch.plugins.io import TorchCheckpointIO

from vedette_edge.errors import DataError
from vedette_edge.files import write_atomically
from vedette_train.console import log
from vedette_train.prune import first_complete_epoch
from vedette_train.recipe import TrainSettings
from vedette_train.schedule import mode_of

__all__ = ["BEST", "LAST", "WholeFiles", "checkpoint_callbacks", "read_checkpoint"]

FOLDER = "checkpoints"
BEST = f"{FOLDER}/best.ckpt"
LAST = f"{FOLDER}/last.ckpt"


class WholeFiles(TorchCheckpointIO):
    """Writes a checkpoint beside the old one and then in its place, flushed to the disk."""

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: Any,
        storage_options: Any = None,  # noqa: ARG002 - Lightning's signature
    ) -> None:
        """Replace the file at `path`.

        Raises:
            DataError: when the disk is full or refuses; the old checkpoint is then still there.
        """
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        file = Path(path)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, buffer.getvalue())
        except OSError as error:
            raise DataError(
                f"{file}: cannot write a checkpoint of {buffer.tell() / 1e6:.1f} MB ({error.strerror}); the "
                "one before it is intact: make room on the disk and go on with --resume"
            ) from error

    def load_checkpoint(
        self,
        path: Any,
        map_location: Any = "cpu",  # noqa: ARG002 - Lightning moves what it loads
        weights_only: bool | None = None,  # noqa: ARG002 - nothing but tensors and numbers, ever
    ) -> dict[str, Any]:
        """Read the file at `path`; it cannot bring code with it.

        Raises:
            DataError: when it cannot be read.
        """
        return read_checkpoint(Path(path))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint: tensors, numbers and texts, onto the CPU.

    Raises:
        DataError: when it is damaged or no checkpoint.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises what its unpickler meets
        raise DataError(f"{path}: not a checkpoint that can be read ({error})") from error
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise DataError(f"{path}: not a checkpoint of a training")
    return checkpoint


def checkpoint_callbacks(out: Path, settings: TrainSettings, *, measured: bool) -> list[Callback]:
    """Return what writes the checkpoints of a run and stops it early.

    Args:
        out: the run's folder.
        settings: what to keep, monitor and wait for.
        measured: whether there is a validation part; without one no epoch is the best.
    """
    callbacks: list[Callback] = [EpochCheckpoints(out, settings, measured=measured)]
    if measured and settings.patience:
        callbacks.append(_Patience(settings))
    return callbacks


class EpochCheckpoints(Checkpoint):
    """Writes best.ckpt, epoch-001.ckpt and so on where they are wanted, and last.ckpt, after each epoch.

    Not Lightning's `ModelCheckpoint`: that forgets the best score when the run was moved, and would let a
    worse epoch take the best one's place.
    """

    def __init__(self, out: Path, settings: TrainSettings, *, measured: bool) -> None:
        """Write into the run at `out`; an epoch can be the best from the one on in which pruning is done."""
        self._out = out
        self._settings = settings
        self._measured = measured
        self._first = first_complete_epoch(settings.prune)
        self.best = math.nan

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write; last.ckpt comes last, because it also holds the best score."""
        del pl_module
        epoch = trainer.current_epoch
        if self._measured and epoch >= self._first:
            score = float(trainer.callback_metrics[self._settings.monitor])
            rises = mode_of(self._settings.monitor) == "max"
            if math.isnan(self.best) or (score > self.best if rises else score < self.best):
                self.best = score
                trainer.save_checkpoint(self._out / BEST)
        if self._settings.keep_epochs:
            # Numbered as in history.csv.
            trainer.save_checkpoint(self._out / FOLDER / f"epoch-{epoch + 1:03d}.ckpt")
        trainer.save_checkpoint(self._out / LAST)

    def state_dict(self) -> dict[str, Any]:
        """Return the best score."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the best score of a checkpoint."""
        self.best = float(state_dict["best"])


class _Patience(EarlyStopping):
    """Stops after epochs without gain, from when pruning is done; a run that had stopped stays stopped."""

    def __init__(self, settings: TrainSettings) -> None:
        assert settings.patience is not None
        super().__init__(
            settings.monitor,
            settings.min_delta,
            settings.patience,
            mode=mode_of(settings.monitor),
        )
        self._first = first_complete_epoch(settings.prune)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        del pl_module
        trainer.should_stop = trainer.should_stop or self.wait_count >= self.patience

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch < self._first:
            return
        super().on_train_epoch_end(trainer, pl_module)
        if trainer.should_stop:
            figure = float(trainer.callback_metrics[self.monitor])
            reason = f"without gain for {self.wait_count} epochs" if math.isfinite(figure) else f"{figure}"
            log(f"stopped early: {self.monitor} is {reason}")
