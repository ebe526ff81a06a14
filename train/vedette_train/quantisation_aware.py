"""Training in simulated int8, for weights that bear the rounding [Jacob et al., 2018, arXiv 1712.05877].

First the network computes in float, and the ranges of what goes into its layers are seen. Then it computes
in simulated int8 while they follow what they see, and at last with ranges that stay, as a runtime's do.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from vedette_train.console import log
from vedette_train.fake_quant import Ranges, followed, observed, simulated
from vedette_train.recipe import QuantiseSettings

__all__ = ["QuantisationAware"]


class QuantisationAware(Callback):
    """Trains and validates the network of a `ClipClassifier` in simulated int8.

    The weights and their names stay those of the plain network.
    """

    def __init__(self, settings: QuantiseSettings) -> None:
        """Observe, round and freeze as `settings` says."""
        self._settings = settings
        self._ranges: Ranges = {}
        self._steps = 0
        self._follows = False
        self._active = ExitStack()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Say what the figures are of."""
        self._steps = int(trainer.estimated_stepping_batches)
        self._ranges = {name: bounds.to(pl_module.device) for name, bounds in self._ranges.items()}
        log("training in simulated int8; validation figures are those of int8, too")

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Follow the ranges, round, or do both, as the settings want it at this step."""
        network, done = pl_module.get_submodule("network"), trainer.global_step / self._steps
        self._follows = done < self._settings.freeze_after
        if self._follows:
            self._active.enter_context(observed(network, self._ranges, followed))
        if done >= self._settings.observe:
            self._active.enter_context(simulated(network, self._ranges))

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Stop, and let all processes agree on the ranges."""
        del pl_module
        self._active.close()
        if self._follows and trainer.world_size > 1:
            together = trainer.strategy.reduce(torch.stack([*self._ranges.values()]), reduce_op="mean")
            self._ranges.update(zip(self._ranges, together.unbind(), strict=True))

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Round, from the first epoch on."""
        del trainer
        with torch.no_grad():
            self._active.enter_context(simulated(pl_module.get_submodule("network"), self._ranges))

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop."""
        del trainer, pl_module
        self._active.close()

    def on_exception(self, *_: Any) -> None:
        """Leave the network as it was."""
        self._active.close()

    def state_dict(self) -> dict[str, Any]:
        """Return the ranges, for the checkpoint."""
        return {name: bounds.cpu() for name, bounds in self._ranges.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the ranges of a checkpoint."""
        self._ranges = dict(state_dict)
