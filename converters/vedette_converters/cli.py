"""The door `vedette-convert`: collects the commands."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from vedette_converters.commands import benchmark, convert, optimise, release, report
from vedette_edge import __version__

__all__ = ["app"]

_EXAMPLES = """Examples:

vedette-convert runs/demo --out bundles/demo

vedette-convert report bundles/demo --out demo.html

vedette-convert benchmark bundles/demo

vedette-convert optimise runs/demo --out slim/demo --max-drop 0.01 --latency-ms 10 --size-mb 2

vedette-convert release init site --fleet gates --keys keys
"""


class _ConvertsByDefault(TyperGroup):
    """`vedette-convert RUN --out BUNDLE` means `vedette-convert convert RUN --out BUNDLE`.

    What is neither a command nor an option of the door itself belongs to `convert`. A run whose folder has
    the name of a command is converted with the long form, or as `./report`.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        own = {name for parameter in self.get_params(ctx) for name in parameter.opts}
        if args and args[0] not in own.union(self.commands):
            args = ["convert", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="vedette-convert",
    cls=_ConvertsByDefault,
    help="From a finished run to a bundle that a device trusts.",
    epilog=_EXAMPLES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for group in (convert, report, benchmark, optimise):
    app.registered_commands += group.app.registered_commands
app.add_typer(release.app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vedette-convert {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass
