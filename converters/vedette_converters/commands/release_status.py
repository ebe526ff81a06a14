"""`vedette-convert release status`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from vedette_converters.commands.release_options import DirectoryArgument, keyring, now, repository
from vedette_train.console import console

if TYPE_CHECKING:
    from vedette_converters.release.status import Status

__all__ = ["app", "print_rollouts"]

app = typer.Typer()

_STYLE = {"": "", "renew": "yellow", "expired": "red"}


@app.command(epilog="Example:  vedette-convert release status site --keys keys")
def status(
    directory: DirectoryArgument,
    keys: Annotated[list[Path], typer.Option("--keys", help="To call keys by their names.")] = [],  # noqa: B006
    as_json: Annotated[bool, typer.Option("--json", help="For programs, on standard output.")] = False,
) -> None:
    """Show roles with their keys and expiries, releases, rollouts, and what waits for signatures."""
    from vedette_converters.release.status import look

    found = look(repository(directory), keyring(keys, None).name, now())
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    _print_roles(found)
    _print_releases(found)
    if found.rollouts:
        print_rollouts(found)


def _print_roles(found: Status) -> None:
    table = _table("role", "version", "expires in", "keys", "signed by", "")
    for row in found.roles:
        left = "expired" if row.warning == "expired" else f"{row.days_left:.1f} days"
        lacking = f"lacks {row.missing} signature(s)" if row.missing else ""
        notes = ", ".join(one for one in ("" if row.published else "waits", lacking) if one)
        table.add_row(
            escape(row.role), str(row.version), f"[{_STYLE[row.warning]}]{left}[/]" if row.warning else left,
            f"{row.threshold} of {len(row.keys)}", escape(", ".join(row.keys)), notes,
        )  # fmt: skip
    console.print(table)


def _print_releases(found: Status) -> None:
    table = _table("fleet", "model", "release", "MB", "digest", "share", "")
    for row in found.releases:
        marks = ("" if row.published else "waits", "paused" if row.rollout.paused else "", row.notes)
        table.add_row(
            escape(row.fleet), escape(row.model), str(row.release), f"{row.bytes / 1e6:.2f}", row.digest[:12],
            f"{row.rollout.share:.2%}", escape(", ".join(mark for mark in marks if mark)),
        )  # fmt: skip
    console.print(table)


def print_rollouts(found: Status) -> None:
    """Print a row a rollout."""
    table = _table("fleet", "model", "release", "wave", "share", "phase", "why")
    for state in found.rollouts:
        style = {"aborted": "red", "paused": "yellow", "done": "green", "running": "default"}[state.phase]
        table.add_row(
            escape(state.fleet), escape(state.model), str(state.release),
            f"{state.wave + 1} of {len(state.policy.waves)}", f"{state.share:.2%}",
            f"[{style}]{state.phase}[/]", escape(state.reason),
        )  # fmt: skip
    console.print(table)


def _table(*columns: str) -> Table:
    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
