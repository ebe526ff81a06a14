"""`vedette-train prune`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table

from vedette_train.commands.options import CacheOption, RunArgument
from vedette_train.console import console

if TYPE_CHECKING:
    from vedette_train.slim.compare import Row

__all__ = ["app"]

app = typer.Typer()


@app.command(epilog="Example:  vedette-train prune runs/demo --out runs/demo-slim --ratio 0.5 --round-to 8")
def prune(
    run: RunArgument,
    out: Annotated[Path, typer.Option(help="The slim run's folder; must be new or empty.")],
    ratio: Annotated[float, typer.Option(help="Share of the channels that leaves, 0 to below 1.")] = 0.5,
    importance: Annotated[
        Literal["l1", "l2", "taylor", "bn"], typer.Option(help="What makes a channel matter.")
    ] = "l2",
    scope: Annotated[
        Literal["global", "layer"] | None,
        typer.Option(
            help="The weakest of all layers, or the same share of each; default layer for pictures."
        ),
    ] = None,
    round_to: Annotated[int, typer.Option(help="Widths become multiples of this.")] = 1,
    keep: Annotated[
        list[str] | None, typer.Option(help="Beginning of names of layers that keep their width.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=0, help="Epochs of training afterwards; 0: none.")] = 5,
    lr: Annotated[
        float | None, typer.Option(help="Highest learning rate; default a third of the run's.")
    ] = None,
    distil: Annotated[
        bool, typer.Option("--distil/--no-distil", help="Learn from the dense network, too.")
    ] = True,
    data: Annotated[Path | None, typer.Option(help="The dataset, where it moved.")] = None,
    cache: CacheOption = None,
) -> None:
    """Remove channels of a run's network, train it on, and tell what that costs and saves.

    The slim run is trained on the run's own training part and judged on its own test part.
    """
    from vedette_train.anomaly.run import is_anomaly_run
    from vedette_train.settings import validate
    from vedette_train.slim.rerun import compare, slim_run
    from vedette_train.slim.settings import SlimSettings

    # Backbones of ImageNet differ so much from layer to layer that a global ranking empties some of them.
    pictures = is_anomaly_run(run)
    values: dict[str, Any] = {
        "ratio": ratio,
        "importance": importance,
        "scope": scope or ("layer" if pictures else "global"),
        "round_to": round_to,
        "keep": keep or [],
        # What a layer may lose is no bound to a ratio that is asked for by name.
        "max_ratio": max(0.9, ratio),
    }
    settings = validate(values, SlimSettings, "vedette-train prune")
    slim = slim_run(run, out, settings, epochs=epochs, lr=lr, distil=distil, data=data, cache=cache)
    _print(out, compare(run, slim))


def _print(out: Path, rows: list[Row]) -> None:
    from vedette_train.costs import machine

    table = Table(title=f"{out}  ({machine()})", title_justify="left")
    for column in ("", "before", "after", "left"):
        table.add_column(column)
    for row in rows:
        table.add_row(*row)
    console.print(table)
