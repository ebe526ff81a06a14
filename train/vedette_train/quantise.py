"""Goes on with a finished run in simulated int8, and says what int8 costs before and after.

The new run has plain float weights, for `vedette-convert` to quantise. It keeps the very split of the old
one, so that nothing that judges it was trained on by either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from vedette_edge.types import FloatArray
from vedette_train.calibration import negative_log_likelihood
from vedette_train.calibration_set import evenly, middle_and_ends, take_turns
from vedette_train.console import progress
from vedette_train.evaluate import (
    dataset_root,
    judge_part,
    maker_of,
    network_of,
    predictions_of,
    video_clips,
    windows_of,
)
from vedette_train.fake_quant import calibrate, simulated
from vedette_train.fit import fit
from vedette_train.metrics import Interval, share
from vedette_train.prune import check_ramp
from vedette_train.recipe import Recipe, recipe_from_dict
from vedette_train.resume import check_out
from vedette_train.runs import SPLIT_FILE, Run

__all__ = ["Judged", "calibration_clips", "fine_tuning_recipe", "judge", "quantise_run"]


@dataclass(frozen=True, slots=True)
class Judged:
    """How a network does on the part that epochs are chosen on, or where there is none, on the reported one.

    Attributes:
        network: name of its run.
        precision: what it computed in.
        accuracy: of the videos.
        loss: mean negative log-likelihood of the windows at the run's temperature, nats.
    """

    network: str
    precision: Literal["float", "int8"]
    accuracy: Interval
    loss: float


def fine_tuning_recipe(run: Run, *, epochs: int, lr: float) -> Recipe:
    """Return the recipe that goes on with a run in simulated int8.

    It differs where it must: it starts from the run's weights and split, with batch norm as it will be
    folded and masked channels masked, trains at one small rate in full precision, and keeps the epoch that
    does best in int8.

    Args:
        run: a finished run.
        epochs: how long, at least 1.
        lr: highest learning rate, of all layers.

    Raises:
        ConfigError: when the run's settings and these do not go together.
    """
    directory = run.directory.resolve()
    values: dict[str, Any] = run.recipe.model_dump(mode="json")
    values["init"] |= {"run": directory, "weights": None, "probe": 0, "freeze_batchnorm": True}
    values["data"] |= {"split_file": directory / SPLIT_FILE}
    values["train"] |= {
        "epochs": epochs,
        "optimizer": "adamw",
        "lr": lr,
        "lr_pointwise": None,
        "lr_spatial": None,
        "schedule": "cosine",
        "patience": None,
        "keep": "best" if run.info.val else "last",
        "precision": "32",  # bf16 has hardly more steps than int8
        "quantise": {},
    }
    if prune := values["train"]["prune"]:
        values["train"]["prune"] = prune | {"start": prune["end"], "warmup": 0, "epochs": 1}
    return recipe_from_dict(values, f"the recipe of {run.directory}")


def quantise_run(
    run: Run, out: Path, data: Path | None = None, *, epochs: int, lr: float
) -> Iterator[Judged]:
    """Fine-tune a run for int8 into a run of its own; yield each judgement as it is made.

    Args:
        run: a finished run.
        out: the new run's folder; must be new or empty.
        data: the dataset's folder, where it moved since the training.
        epochs: as for `fine_tuning_recipe`.
        lr: as for `fine_tuning_recipe`.

    Yields:
        The old network in float and in simulated int8, then the new one in both.

    Raises:
        VedetteError: as `fit`; a video whose part the run does not know is a DataError.
    """
    recipe, root = fine_tuning_recipe(run, epochs=epochs, lr=lr), dataset_root(run, data)
    check_ramp(recipe.train)
    check_out(recipe, out, resume=False)
    yield from judge(run, root, run.directory.name)
    yield from judge(fit(recipe, root, out), root, out.name)


def judge(run: Run, data: Path, name: str) -> Iterator[Judged]:
    """Yield how a run's network does in float, and in int8 as calibration after training would make it."""
    network = network_of(run)
    with progress(f"read {name}'s clips to calibrate on") as on_progress:
        clips = calibration_clips(run, data, on_progress=on_progress)
    ranges = calibrate(network, clips.to(next(network.parameters()).device))
    part = "val" if run.info.val else run.info.reported_part
    rounding: dict[Literal["float", "int8"], AbstractContextManager[None]]
    rounding = {"float": nullcontext(), "int8": simulated(network, ranges)}
    for precision, context in rounding.items():
        with progress(f"judge {name} in {precision}") as on_progress, torch.no_grad(), context:
            windows = judge_part(run, part, data, on_progress, network)
        predictions = predictions_of(run, windows)
        yield Judged(
            name,
            precision,
            share(sum(p.label == p.sample.label for p in predictions), len(predictions)),
            negative_log_likelihood(*windows_of(run, windows), run.decision.temperature),
        )


def calibration_clips(run: Run, data: Path, on_progress: Callable[[int, int], None] | None = None) -> Tensor:
    """Return what a conversion of the run would be calibrated with: (N, C, T, H, W) float32.

    Raises:
        DataError: when a video is missing or cannot be read.
    """
    spec, make_tensor = run.recipe.data.input, maker_of(run)
    chosen = take_turns(run.info.train)
    clips: list[FloatArray] = []
    for done, sample in enumerate(chosen, start=1):
        windows = video_clips(data / sample.name, spec, run.recipe.decision.hop)
        clips += middle_and_ends(np.concatenate([make_tensor(window, spec) for window in windows]))
        if on_progress:
            on_progress(done, len(chosen))
    return torch.from_numpy(np.concatenate(evenly(clips)))
