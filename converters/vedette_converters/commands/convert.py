"""`vedette-convert convert`, which is also what a run without a command means."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from vedette_edge.manifest import Manifest
from vedette_train.console import console, progress

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
    _print_variants(manifest, out)


def _print_variants(manifest: Manifest, out: Path) -> None:
    table = Table(title=f"{out}  (release {manifest.release})", title_justify="left")
    for column in ("variant", "MB", "p50 ms", "largest difference", "same label", "accuracy"):
        table.add_column(column)
    for variant in manifest.variants:
        parity, accuracy = variant.proof.parity, variant.proof.accuracy
        table.add_row(
            variant.name,
            f"{sum(entry.bytes for entry in variant.files) / 1e6:.1f}",
            f"{variant.measured.p50_ms:.1f}" if variant.measured else "",
            f"logits {parity.logits_max_abs:.0e}\nheatmap {parity.heatmap_max_abs:.0e}",
            f"{parity.label_agreement:.1%}\nof {parity.samples}",
            f"{accuracy.value:.3f}\n{accuracy.low:.3f} to {accuracy.high:.3f}" if accuracy else "",
        )
    console.print(table)
