"""`vedette-train export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vedette_train.commands.options import RunArgument
from vedette_train.console import log

__all__ = ["app"]

app = typer.Typer()


@app.command(epilog="Example:  vedette-train export runs/demo --out model.pt2")
def export(
    run: RunArgument,
    out: Annotated[Path, typer.Option(help="The .pt2 file; must not exist yet.")],
) -> None:
    """Write a run's network for programs with PyTorch: logits and heatmap, for any number of clips.

    The file is torch.export's, the successor of TorchScript, which PyTorch has deprecated; load it with
    torch.export.load(FILE).module(). It is compared with the network first, and where they differ nothing is
    written. For devices, run vedette-convert.
    """
    from vedette_train.export import export_run
    from vedette_train.runs import open_run

    found = export_run(open_run(run), out)
    size = out.stat().st_size / 1e6
    log(
        f"wrote {out}, {size:.1f} MB; largest difference: logits {found.logits_max:.0e}, "
        f"heatmap {found.heatmap_max:.0e}"
    )
