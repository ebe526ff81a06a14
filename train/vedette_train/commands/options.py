"""What several commands share: their options, loading a recipe, printing a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from vedette_edge.errors import ConfigError
from vedette_train.console import console

if TYPE_CHECKING:
    from vedette_train.recipe import Recipe

__all__ = [
    "CacheOption",
    "DataOption",
    "RecipeArgument",
    "RunArgument",
    "SetOption",
    "load",
    "print_folds",
    "print_metrics",
    "task_of",
]

RecipeArgument = Annotated[str, typer.Argument(help="A YAML file, or the name of a packaged recipe.")]
RunArgument = Annotated[Path, typer.Argument(help="A run's folder.")]
DataOption = Annotated[Path | None, typer.Option("--data", help="Folder of classes; overrides data.root.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe: train.epochs=5")
]
CacheOption = Annotated[
    Path | None, typer.Option(help="Folder of decoded frames, as prepare --out; default the user's cache.")
]

_OF_ONE_CLASS = ("f1", "precision", "recall", "specificity", "auc", "average_precision")


def load(recipe: str, data: Path | None, overrides: list[str] | None) -> tuple[Recipe, Path]:
    """Return the recipe with its overrides, and where its data lies.

    Raises:
        ConfigError: when the recipe is not valid, or nobody says where the data is.
    """
    from vedette_train.recipe import load_recipe

    loaded = load_recipe(recipe, overrides or ())
    root = data or loaded.data.root
    if root is None:
        raise ConfigError(f"recipe '{loaded.name}' names no data: say where it is with --data DIR")
    return loaded, root


def task_of(recipe: str, overrides: list[str] | None) -> str:
    """Return what a recipe is for: "classify", where it does not say, or "anomaly".

    Raises:
        ConfigError: when the recipe cannot be found or read.
    """
    from vedette_train.settings import read_settings

    return str(read_settings(recipe, overrides or ())[0].get("task", "classify"))


def print_metrics(directory: Path) -> None:
    """Print the report of a run as a table."""
    from vedette_train.card import FIGURES
    from vedette_train.report import read_metrics

    metrics = read_metrics(directory)
    table = Table(title=f"{directory}  ({metrics['split']})", title_justify="left")
    for column in ("", "value", "95 % interval", "videos"):
        table.add_column(column)
    of = f" of {metrics['positive']}" if metrics["positive"] else ""
    rows = {
        FIGURES[key] + (of if key in _OF_ONE_CLASS else ""): metrics[key] for key in FIGURES if key in metrics
    }
    rows |= {f"recall {label}": row["recall"] for label, row in metrics["labels"].items() if row["recall"]}
    for name, row in rows.items():
        table.add_row(
            name, f"{row['value']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}", str(row["samples"])
        )
    console.print(table)
    console.print(_calibration_line(metrics.get("calibration")))


def print_folds(metrics: dict[str, Any]) -> None:
    """Print the figures of each fold of a cross-validation, their mean and standard deviation."""
    names = list(metrics["mean_over_folds"])
    table = Table(title="fold by fold", title_justify="left")
    for column in ("fold", "videos", *(name.replace("_", " ") for name in names)):
        table.add_column(column)
    for row in metrics["folds"]:
        values = ("-" if row[name] is None else f"{row[name]:.3f}" for name in names)
        table.add_row(str(row["fold"]), str(row["videos"]), *values)
    means = (metrics["mean_over_folds"][name] for name in names)
    cells = (f"{one['mean']:.3f} ± {one['deviation']:.3f}" if one else "-" for one in means)
    table.add_row("mean", "", *cells)
    console.print(table)


def _calibration_line(found: dict[str, Any] | None) -> str:
    if not found:
        return ""
    before, after = found["before"], found["after"]
    if not after:
        return f"calibration: error (ECE) {before['ece']:.3f}, at the recipe's temperature"
    return (
        f"calibration: error (ECE) {before['ece']:.3f} before and {after['ece']:.3f} after, at temperature "
        f"{found['temperature']:.2f}"
    )
