"""`vedette-convert convert`, which is also what a run without a command means."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vedette_converters.commands.tables import print_bundle
from vedette_train.console import progress

__all__ = ["app"]

app = typer.Typer()


@app.command(epilog="Example:  vedette-convert runs/demo --out bundles/demo")
def convert(
    run: Annotated[Path, typer.Argument(help="A finished run of vedette-train.")],
    out: Annotated[Path, typer.Option(help="The bundle; must not exist yet.")],
    data: Annotated[Path | None, typer.Option(help="The run's dataset, where it moved.")] = None,
    release: Annotated[int, typer.Option(min=0, help="Counter that rises with every release.")] = 1,
) -> None:
    """Export a run to a bundle that a device trusts.

    Writes an ONNX model with logits and heatmap, golden samples, and the proof that the exported model
    equals the trained one on the videos that the run reports on. If the proof fails, nothing is written.
    """
    from vedette_converters.convert import convert as run_convert

    with progress("export and prove") as on_progress:
        manifest = run_convert(run, out, data=data, release=release, on_progress=on_progress)
    print_bundle(str(out), manifest)
