"""What several commands share: their options, loading a recipe, printing a report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from vedette_edge.errors import ConfigError
from vedette_train.console import console

if TYPE_CHECKING:
    from vedette_train.recipe import Recipe

__all__ = ["DataOption", "RecipeArgument", "RunArgument", "SetOption", "load", "print_metrics", "task_of"]

RecipeArgument = Annotated[str, typer.Argument(help="A YAML file, or the name of a packaged recipe.")]
RunArgument = Annotated[Path, typer.Argument(help="A run's folder.")]
DataOption = Annotated[Path | None, typer.Option("--data", help="Folder of classes; overrides data.root.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe: train.epochs=5")
]


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
    from vedette_train.runs import METRICS_FILE

    metrics = json.loads((directory / METRICS_FILE).read_text(encoding="utf-8"))
    table = Table(title=f"{directory}  ({metrics['split']})", title_justify="left")
    for column in ("", "value", "95 % interval", "videos"):
        table.add_column(column)
    rows = {"accuracy": metrics["accuracy"], "macro F1": metrics["macro_f1"]}
    rows |= {f"recall {label}": recall for label, recall in metrics["recall"].items() if recall}
    for name, row in rows.items():
        table.add_row(
            name, f"{row['value']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}", str(row["samples"])
        )
    console.print(table)
