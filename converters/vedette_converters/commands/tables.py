"""How commands show a bundle on the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vedette_converters.figures import COLUMNS, machines, rows
from vedette_edge.manifest import Manifest, Measured
from vedette_train.console import console, log

__all__ = ["print_bundle"]

_LEAST_WIDTH = 118


def print_bundle(title: str, manifest: Manifest, measured: Mapping[str, Measured] | None = None) -> None:
    """Print a row a variant, and what was refused.

    Args:
        title: above the table.
        manifest: of the bundle.
        measured: costs by variant; by default those that the manifest names.
    """
    found = rows(manifest, measured)
    table = Table(
        title=escape(f"{title}  (release {manifest.release})"),
        caption=escape(f"measured on: {machines(found)}"),
        title_justify="left",
        caption_justify="left",
    )
    for column in COLUMNS:
        table.add_column(column, overflow="fold", no_wrap=column == COLUMNS[0])
    for row in found:
        table.add_row(*map(escape, row.texts()))
    # Folded into 80 columns nobody could read it.
    wide = Console(file=console.file, highlight=False, soft_wrap=True, width=max(console.width, _LEAST_WIDTH))
    wide.print(table)
    for one in manifest.refused:
        log(f"refused: {one.runtime}-{one.precision}-{one.mode}: {one.reason}", style="yellow")
