"""`vedette-convert benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from vedette_converters.benchmark import benchmark_here
from vedette_edge.benchmark import Benchmark
from vedette_edge.bundle import Bundle, open_bundle
from vedette_train.console import console, log

__all__ = ["app"]

app = typer.Typer()


@app.command(epilog="Example:  vedette-convert benchmark bundles/demo --threads 2")
def benchmark(
    bundle: Annotated[Path, typer.Argument(help="What vedette-convert wrote.")],
    threads: Annotated[int, typer.Option(min=0, help="Of one call; 0: the runtime chooses.")] = 0,
    again: Annotated[
        bool, typer.Option("--again", help="Measure, even where this machine has an answer.")
    ] = False,
) -> None:
    """Measure what a call of each variant costs on this machine.

    The answer is kept, and an agent on this machine chooses its variant by it.
    """
    opened = open_bundle(bundle)
    found = benchmark_here(opened, threads=threads, again=again)
    _print(bundle, opened, found)
    for name, reason in found.refused.items():
        log(f"not measured: {name}: {reason}", style="yellow")


def _print(directory: Path, bundle: Bundle, found: Benchmark) -> None:
    table = Table(title=escape(f"{directory}  ({found.machine})"), title_justify="left")
    for column in ("variant", "p50 ms", "p95 ms", "calls a second", "peak MB"):
        table.add_column(column)
    for variant in bundle.manifest.variants:
        measured = found.measured.get(variant.name)
        if measured:
            table.add_row(
                variant.name,
                f"{measured.p50_ms:.2f}",
                f"{measured.p95_ms:.2f}",
                f"{measured.per_second:.1f}" if measured.per_second else "",
                f"{measured.peak_rss_bytes / 1e6:.0f}",
            )
    console.print(table)
