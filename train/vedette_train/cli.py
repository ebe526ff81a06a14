"""The door `vedette-train`: collects the commands."""

from __future__ import annotations

from typing import Annotated

import typer

from vedette_edge import __version__
from vedette_train.commands import (
    anomaly,
    anomaly_data,
    data,
    explain,
    export,
    import_checkpoint,
    prepare,
    quantise,
    reports,
    sweep,
    training,
)

__all__ = ["app"]

app = typer.Typer(
    name="vedette-train",
    help="From a folder of videos to a measured run.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for group in (prepare, training, sweep, quantise, reports, explain, import_checkpoint, export):
    app.registered_commands += group.app.registered_commands
data.app.registered_commands += anomaly_data.app.registered_commands
app.add_typer(data.app, name="data")
app.add_typer(anomaly.app, name="anomaly")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vedette-train {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass
