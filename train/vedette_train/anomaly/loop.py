"""The loop that trains a detector: plain, so that every step can be repeated to the bit on the CPU.

It writes a checkpoint and a row of history after each epoch; from those it goes on as if nothing had been.
"""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from vedette_edge.errors import DataError
from vedette_edge.files import write_atomically
from vedette_train.anomaly.detectors import Detector
from vedette_train.anomaly.folder import Picture
from vedette_train.anomaly.mend import mend_reader
from vedette_train.anomaly.recipe import AnomalyRecipe
from vedette_train.anomaly.run import save_tensors
from vedette_train.anomaly.samples import TrainingPictures, batches
from vedette_train.anomaly.start import dense_reader, starting_detector
from vedette_train.console import log, make_progress

__all__ = ["TrainingLoop", "read_losses"]

_HISTORY = "history.csv"
_COLUMNS = ("epoch", "train_loss", "val_loss", "lr", "seconds")
_CHECKPOINT = Path("checkpoints") / "last.pt"


@dataclass
class _State:
    """What a checkpoint holds besides weights."""

    epoch: int = 0
    best_loss: float = math.inf
    best_epoch: int = 0


class TrainingLoop:
    """One training: detector, optimiser and where they are."""

    def __init__(
        self,
        recipe: AnomalyRecipe,
        train: Sequence[Picture],
        held_out: Sequence[Picture],
        out: Path,
        device: torch.device,
    ) -> None:
        """Build the detector and the optimiser.

        Args:
            recipe: what to train.
            train: pictures to train on.
            held_out: pictures to validate on.
            out: the run's folder, for checkpoints and history.
            device: where to train.
        """
        self.recipe, self.out, self.device = recipe, out, device
        self.train = TrainingPictures([picture.path for picture in train], recipe)
        self.val = TrainingPictures([picture.path for picture in held_out], recipe, held_out=True)
        self.names = [picture.name for picture in train]
        self.detector = starting_detector(recipe, self.train).to(device)
        self.detector.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = AveragedModel(self.detector, avg_fn=_moving_average(recipe.train.average))
        self.state = _State()
        self.best: dict[str, Tensor] = {}
        settings = recipe.train
        head = [parameter for parameter in self.detector.parameters() if parameter.requires_grad]
        # Without weight decay this is Adam.
        self.optimizer = torch.optim.AdamW(head, lr=settings.lr, weight_decay=settings.weight_decay)
        self.steps = len(list(batches(len(self.train), settings.batch_size, range(len(self.train)))))
        total = self.steps * settings.epochs
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: _rate(step, total) if settings.schedule == "cosine" else 1.0
        )
        self._kept: dict[tuple[bool, int, int], tuple[Tensor, Tensor]] = {}

    def run(self, *, resume: bool) -> None:
        """Train to the end, and leave the weights that the recipe wants kept in `detector`."""
        settings = self.recipe.train
        log(f"training on {self.device}, {torch.get_num_threads()} threads")
        if resume and (self.out / _CHECKPOINT).is_file():
            self._load()
        else:
            self._begin()
        while self.state.epoch < settings.epochs and not self._stalled():
            self._epoch()
        chosen = self.best if settings.keep == "best" and settings.epochs else self._weights()
        self.detector.load_state_dict(chosen)
        self.detector.eval()

    def _begin(self) -> None:
        """Learn what comes before the first epoch."""
        epochs, detector = self.recipe.init.mend, self.detector
        if epochs:
            dense = dense_reader(self.recipe).to(self.device)
            mend_reader(detector.reader, dense, self.train, self.recipe, epochs)
        if detector.measures:
            detector.begin(self._measured(), self.recipe.seed)
        self._averaged_detector().load_state_dict(detector.state_dict())

    def _weights(self) -> dict[str, Tensor]:
        """Return what is validated and kept: the averaged weights, with the running statistics of now."""
        return self._averaged_detector().state_dict()

    def _averaged_detector(self) -> Detector:
        detector: Any = self.averaged.module
        return cast("Detector", detector)

    def _stalled(self) -> bool:
        patience = self.recipe.train.patience
        return patience is not None and self.state.epoch - self.state.best_epoch >= patience

    def _epoch(self) -> None:
        start, settings, state = time.monotonic(), self.recipe.train, self.state
        order = np.random.default_rng((self.recipe.seed, state.epoch)).permutation(len(self.train)).tolist()
        self.detector.train()
        total = 0.0
        with make_progress() as display:
            task = display.add_task(f"epoch {state.epoch + 1}/{settings.epochs}", total=self.steps)
            for number, chosen in enumerate(batches(len(order), settings.batch_size, order)):
                total += self._step(number, chosen) * len(chosen)
                display.advance(task)
        state.epoch += 1
        row = {
            "epoch": state.epoch,
            "train_loss": total / len(self.train),
            "val_loss": self._validate(),
            "lr": self.optimizer.param_groups[0]["lr"],
            "seconds": time.monotonic() - start,
        }
        if row["val_loss"] < state.best_loss:
            state.best_loss, state.best_epoch = row["val_loss"], state.epoch
            self.best = {name: tensor.detach().clone() for name, tensor in self._weights().items()}
        self._save()
        _add_row(self.out / _HISTORY, row)
        log(
            f"epoch {state.epoch:>3}/{settings.epochs}   loss {row['train_loss']:.4g} / "
            f"{row['val_loss']:.4g} (train / held out)   {row['seconds']:.0f} s"
        )

    def _step(self, number: int, chosen: Sequence[int]) -> float:
        features, masks = self._features(self.train, chosen, self.detector)
        loss = self.detector.loss(features, masks)
        if not torch.isfinite(loss):
            names = ", ".join(self.names[index] for index in chosen)
            raise DataError(
                f"the loss is {float(loss.detach()):g} at batch {number} of epoch {self.state.epoch} "
                f"({names}); lower train.lr, or look at these pictures"
            )
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.schedule.step()
        self.averaged.update_parameters(self.detector)
        return float(loss.detach())

    @torch.no_grad()
    def _validate(self) -> float:
        detector = self._averaged_detector().eval()
        total = 0.0
        indices = range(len(self.val))
        for chosen in batches(len(self.val), self.recipe.train.batch_size, indices):
            features, masks = self._features(self.val, chosen, detector)
            total += float(detector.loss(features, masks)) * len(chosen)
        if not math.isfinite(total):
            raise DataError(
                f"the held-out pictures' loss is {total:g} after epoch {self.state.epoch}; lower train.lr"
            )
        return total / len(self.val)

    def _features(
        self, source: TrainingPictures, chosen: Sequence[int], detector: Detector
    ) -> tuple[Tensor, Tensor]:
        """Return features and masks of pictures; from memory where they come again."""
        variant = source.variant(self.state.epoch)
        if variant is not None:
            pairs = [self._kept_features(source, index, variant, detector) for index in chosen]
            features, masks = (torch.stack(part).to(self.device) for part in zip(*pairs, strict=True))
            return features, masks.float()
        images, masks = (
            torch.stack(part).to(self.device)
            for part in zip(*(source(index, self.state.epoch) for index in chosen), strict=True)
        )
        with torch.no_grad():
            return detector.features(images.contiguous(memory_format=torch.channels_last)), masks

    @torch.no_grad()
    def _kept_features(
        self, source: TrainingPictures, index: int, variant: int, detector: Detector
    ) -> tuple[Tensor, Tensor]:
        key = (source is self.val, index, variant)
        found = self._kept.get(key)
        if found is None:
            image, mask = source(index, variant)
            # One picture at a time, so that its features do not depend on its neighbours in a batch.
            batch = image[None].to(self.device, memory_format=torch.channels_last)
            found = detector.features(batch)[0].cpu(), mask > 0
            size = found[0].nbytes + found[1].nbytes
            if (len(self._kept) + 1) * size <= self.recipe.train.cache_mb * 2**20:
                self._kept[key] = found
        return found

    @torch.no_grad()
    def _measured(self, most: int = 200) -> list[Tensor]:
        """Return features of up to `most` unchanged pictures, from which a detector takes measure."""
        step = max(1, -(-len(self.train) // most))
        chosen = range(0, len(self.train), step)
        return [
            self.detector.features(self.train.good(index)[None].to(self.device)).cpu() for index in chosen
        ]

    def _save(self) -> None:
        save_tensors(
            self.out / _CHECKPOINT,
            {
                "detector": self.detector.state_dict(),
                "averaged": self.averaged.state_dict(),
                "best": self.best,
                "optimizer": self.optimizer.state_dict(),
                "schedule": {"last_epoch": self.schedule.last_epoch},
                "state": [self.state.epoch, self.state.best_loss, self.state.best_epoch],
            },
        )

    def _load(self) -> None:
        path = self.out / _CHECKPOINT
        try:
            data = torch.load(path, map_location=self.device, weights_only=True)
            self.detector.load_state_dict(data["detector"])
            self.averaged.load_state_dict(data["averaged"])
            self.optimizer.load_state_dict(data["optimizer"])
            self.best = data["best"]
            epoch, loss, best = data["state"]
            self.state = _State(int(epoch), float(loss), int(best))
            self.schedule.last_epoch = int(data["schedule"]["last_epoch"])
        except Exception as error:  # torch.load raises what its unpickler meets
            raise DataError(f"{path}: cannot go on from this checkpoint ({error})") from error


def _moving_average(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """Return how weights enter the average: the first steps with more weight, as they are soon outdated."""

    def averaged(average: Tensor, current: Tensor, steps: Tensor | int) -> Tensor:
        kept = min(decay, (float(steps) + 1) / (float(steps) + 10))
        return average + (1 - kept) * (current - average)

    return averaged


def _rate(step: int, total: int) -> float:
    """Return the factor of the learning rate: a rise over the first tenth, then a cosine to nearly 0."""
    rise = max(1, total // 10)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, total - rise))) + 1e-3


def read_losses(directory: Path) -> dict[str, list[float]]:
    """Return the columns of a run's history.csv; empty columns where there is none yet."""
    path = directory / _HISTORY
    rows: list[dict[str, str]] = []
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    return {column: [float(row[column]) for row in rows] for column in _COLUMNS}


def _add_row(path: Path, row: dict[str, float]) -> None:
    earlier: list[dict[str, str]] = []
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            earlier = [old for old in csv.DictReader(file) if int(old["epoch"]) < row["epoch"]]
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(earlier)
    writer.writerow({key: f"{value:.6g}" for key, value in row.items()})
    write_atomically(path, text.getvalue().encode())
