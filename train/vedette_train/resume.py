"""What must be the same when a training goes on, and how it ends when it is told to."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from vedette_edge.errors import UsageError
from vedette_train.console import log
from vedette_train.recipe import Recipe
from vedette_train.runs import read_recipe, refuse_other_recipe

__all__ = ["check_out", "refuse_unlike", "stop_on_sigterm"]


def check_out(recipe: Recipe, out: Path, *, resume: bool) -> None:
    """Raise when `out` is no place for this training.

    Raises:
        UsageError: when `out` is not empty and `resume` is False, or the other way round.
        ConfigError: when a resumed run was started with another recipe; the differences are listed.
    """
    started = out.is_dir() and any(out.iterdir())
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; --out is the run's folder")
    if started and not resume:
        raise UsageError(f"{out} is not empty; add --resume to go on with it, or choose another --out")
    if resume and not started:
        raise UsageError(f"{out} holds no run to resume; leave --resume out to start one")
    if started:
        refuse_unlike(recipe, out)


def refuse_unlike(recipe: Recipe, out: Path) -> None:
    """Raise when a run was started with another recipe; only `train.epochs` may be raised.

    Not on a cosine, whose every rate depends on the number of epochs.

    Raises:
        ConfigError: lists what differs.
    """
    before = read_recipe(out).train.epochs
    if recipe.train.epochs > before and recipe.train.schedule != "cosine":
        train = recipe.train.model_copy(update={"epochs": before})
        recipe = recipe.model_copy(update={"train": train})
    refuse_other_recipe(recipe, out)


@contextmanager
def stop_on_sigterm() -> Iterator[None]:
    """End the block at once on SIGTERM, as systemd and Slurm send it, with exit code 143.

    At once, because no more than some seconds may be left; files that are being written stay as they were.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(number: int, frame: FrameType | None) -> None:
    del frame
    log("stopped by SIGTERM; go on with --resume", style="yellow")
    raise SystemExit(128 + number)
