"""`vedette-convert report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vedette_converters.commands.tables import print_bundle
from vedette_train.console import log, progress

__all__ = ["app"]

app = typer.Typer()


@app.command(epilog="Example:  vedette-convert report bundles/demo --out demo.html")
def report(
    bundle: Annotated[Path, typer.Argument(help="What vedette-convert wrote.")],
    out: Annotated[Path | None, typer.Option(help="The page; default BUNDLE.html beside the bundle.")] = None,
    benchmark: Annotated[
        bool, typer.Option("--benchmark", help="Measure the variants on this machine, as the benchmark does.")
    ] = False,
) -> None:
    """Show what each variant of a bundle is worth, and write it as one HTML page with plots.

    The page needs no network: latency against accuracy, sizes, differences to the trained network, heatmaps
    dense against int8, state of streams, and where the model comes from.
    """
    from vedette_converters.benchmark import benchmark_here
    from vedette_converters.replay import replay
    from vedette_converters.report import write_report
    from vedette_edge.bundle import open_bundle

    opened = open_bundle(bundle)
    measured = benchmark_here(opened).measured if benchmark else None
    print_bundle(str(bundle), opened.manifest, measured)
    with progress("golden samples") as on_progress:
        replayed = replay(opened, on_progress)
    # Beside it and not in it, because a bundle holds what its manifest names and no more.
    path = out or bundle.resolve().with_name(f"{bundle.resolve().name}.html")
    write_report(path, opened.manifest, replayed, measured)
    log(f"written: {path}")
