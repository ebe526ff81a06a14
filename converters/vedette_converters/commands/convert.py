"""`vedette-convert convert`, which is also what a run without a command means."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vedette_converters.commands.tables import print_bundle
from vedette_converters.plan import BOUNDS, Plan, choices, installed_runtimes
from vedette_edge.manifest import Bounds, Precision, Runtime, TemporalMode
from vedette_train.console import steps

__all__ = ["app"]

app = typer.Typer()

_INSTALLED = "installed"


@app.command(
    epilog="Example:  vedette-convert runs/demo --out bundles/demo --runtimes onnx,tflite --max-drop 0.02"
)
def convert(
    run: Annotated[Path, typer.Argument(help="A finished run of vedette-train.")],
    out: Annotated[Path, typer.Option(help="The bundle; must not exist yet.")],
    runtimes: Annotated[
        str, typer.Option(help="Some of onnx, openvino, tflite, or 'installed'.")
    ] = _INSTALLED,
    precisions: Annotated[str, typer.Option(help="Some of fp32, fp16, int8.")] = "fp32,int8",
    modes: Annotated[
        str, typer.Option(help="clip, stream, or both; 'auto': stream where the network is causal.")
    ] = "auto",
    max_drop: Annotated[
        float, typer.Option(min=0, max=1, help="Accuracy that fp16 and int8 may lose.")
    ] = BOUNDS.max_drop,
    min_agreement: Annotated[
        float, typer.Option(min=0, max=1, help="Share of windows whose label they must keep.")
    ] = BOUNDS.min_label_agreement,
    max_score: Annotated[
        float, typer.Option(min=0, max=1, help="How far their probabilities may be off, in the mean.")
    ] = BOUNDS.max_score,
    min_heatmap: Annotated[
        float, typer.Option(min=-1, max=1, help="Correlation that their heatmaps must keep, in the mean.")
    ] = BOUNDS.min_heatmap,
    data: Annotated[Path | None, typer.Option(help="The run's dataset, where it moved.")] = None,
    release: Annotated[int, typer.Option(min=0, help="Counter that rises with every release.")] = 1,
) -> None:
    """Export a run to a bundle that a device trusts.

    Writes each variant, a runtime in a precision and a mode, with golden samples and the proof that it gives
    what the trained network gives on what the run reports on. int8 is calibrated on the training part; where
    it loses too much, the layers that suffer most stay in float. A variant that still fails is left out, with
    the reason; if none is left, nothing is written.
    """
    from vedette_converters.convert import convert as run_convert

    plan = Plan(
        runtimes=installed_runtimes() if runtimes == _INSTALLED else choices(runtimes, "--runtimes", Runtime),
        precisions=choices(precisions, "--precisions", Precision),
        modes=None if modes == "auto" else choices(modes, "--modes", TemporalMode),
    )
    bounds = Bounds(
        max_drop=max_drop, min_label_agreement=min_agreement, max_score=max_score, min_heatmap=min_heatmap
    )
    with steps("open the run") as on_step:
        manifest = run_convert(
            run, out, plan=plan, bounds=bounds, data=data, release=release, on_step=on_step
        )
    print_bundle(str(out), manifest, None)
