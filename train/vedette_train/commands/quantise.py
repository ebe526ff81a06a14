"""`vedette-train quantise`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from vedette_train.commands.options import RunArgument
from vedette_train.console import console

__all__ = ["app"]

app = typer.Typer()


@app.command(epilog="Example:  vedette-train quantise runs/demo --out runs/demo-int8")
def quantise(
    run: RunArgument,
    out: Annotated[Path, typer.Option(help="The new run's folder.")],
    epochs: Annotated[int, typer.Option(min=1, help="How long.")] = 3,
    lr: Annotated[float, typer.Option(min=0.0, help="Highest learning rate.")] = 1e-4,
    data: Annotated[Path | None, typer.Option(help="The dataset, where it moved.")] = None,
) -> None:
    """Fine-tune a run in simulated int8, for where int8 after training loses too much.

    The new run has plain weights, the same split and its own report; convert it with vedette-convert.
    """
    from vedette_train.quantise import quantise_run
    from vedette_train.runs import open_run

    opened = open_run(run)
    part = "validation" if opened.info.val else opened.info.reported_part
    table = Table(title=f"{part}; int8 is simulated", title_justify="left")
    for column in ("run", "computes in", "accuracy", "95 % interval", "videos", "loss, nats"):
        table.add_column(column)
    for row in quantise_run(opened, out, data, epochs=epochs, lr=lr):
        found = row.accuracy
        interval = f"{found.low:.3f} to {found.high:.3f}"
        table.add_row(
            row.network,
            row.precision,
            f"{found.value:.3f}",
            interval,
            str(found.samples),
            f"{row.loss:.4f}",
        )
    console.print(table)
