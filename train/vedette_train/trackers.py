"""Where a training's curves go beside history.csv: TensorBoard always, Weights & Biases where asked for."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from vedette_edge.errors import ConfigError, MissingExtraError
from vedette_edge.files import write_atomically
from vedette_train.distributed import is_first
from vedette_train.recipe import Recipe
from vedette_train.runs import CARD_FILE, METRICS_FILE, MODEL_FILE, RECIPE_FILE
from vedette_train.slim.record import SLIMMING_FILE

__all__ = ["WandbTarget", "attach_to_wandb", "loggers"]

_ID_FILE = "wandb-id.txt"
_ATTACHED = (RECIPE_FILE, MODEL_FILE, SLIMMING_FILE, METRICS_FILE, "history.csv", CARD_FILE)


@dataclass(frozen=True, slots=True)
class WandbTarget:
    """Where Weights & Biases files a run; WANDB_API_KEY, WANDB_MODE and so on are wandb's own."""

    project: str = "vedette"
    name: str | None = None


def loggers(out: Path, recipe: Recipe, target: WandbTarget | None) -> list[Logger]:
    """Return the loggers of a run; a resumed run goes on in the same W&B run, whose id the run keeps.

    Raises:
        MissingExtraError: when W&B is asked for and not installed.
    """
    found: list[Logger] = [TensorBoardLogger(out, name="", version="tensorboard")]
    if target is not None:
        found.append(_wandb(out, recipe, target))
    return found


def attach_to_wandb(found: list[Logger], out: Path, name: str) -> None:
    """Attach recipe, weights, metrics and card of a finished run, and end the W&B run."""
    import wandb

    for logger in found:
        if isinstance(logger, WandbLogger):
            artifact = wandb.Artifact(name, type="model")
            for file in _ATTACHED:
                if (out / file).is_file():
                    artifact.add_file(str(out / file))
            logger.experiment.log_artifact(artifact)
            logger.experiment.finish()


def _wandb(out: Path, recipe: Recipe, target: WandbTarget) -> WandbLogger:
    try:
        import wandb
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "wandb", "wandb") from error

    id_file = out / _ID_FILE
    if is_first() and not id_file.is_file():
        write_atomically(id_file, f"{secrets.token_hex(4)}\n".encode())
    identity = id_file.read_text(encoding="utf-8").strip() if id_file.is_file() else None
    logger = WandbLogger(
        name=target.name or out.name,
        project=target.project,
        id=identity,
        save_dir=out,
        resume="allow",
        # Curves and files are wanted there, not what we print.
        settings=wandb.Settings(quiet=True, console="off"),
    )
    logger.log_hyperparams(recipe.model_dump(mode="json"))
    try:
        if is_first():
            _ = logger.experiment
    except wandb.errors.Error as error:
        raise ConfigError(f"Weights & Biases refuses: {error}; try WANDB_MODE=offline") from error
    return logger
