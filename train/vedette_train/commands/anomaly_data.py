"""`vedette-train data synth-anomaly`: a small dataset to try anomaly detection with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vedette_train.console import log

__all__ = ["app"]

app = typer.Typer()


@app.command("synth-anomaly", epilog="Example:  vedette-train data synth-anomaly --out out/surfaces")
def synth_anomaly(
    out: Annotated[Path, typer.Option(help="A new folder.")],
    train: Annotated[int, typer.Option(min=2, help="Good pictures to train on.")] = 60,
    good: Annotated[int, typer.Option(min=1, help="Good pictures to test on.")] = 20,
    bad: Annotated[int, typer.Option(min=1, help="Bad pictures to test on.")] = 30,
    side: Annotated[int, typer.Option(min=32, help="Height and width in pixels.")] = 160,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Draw brushed surfaces, some with a dent, a scratch or a stain, and masks of these."""
    from vedette_train.anomaly.textures import write_textures

    write_textures(out, train=train, good=good, bad=bad, side=side, seed=seed)
    log(f"wrote {out}")
