"""What the user sees while something long runs: a progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["console", "log", "make_progress", "progress", "steps"]

console = Console(stderr=True, highlight=False, soft_wrap=True)


def log(message: str, style: str | None = None) -> None:
    """Print one line, above the progress bar if there is one."""
    console.print(escape(message), style=style)


def make_progress() -> Progress:
    """Return a progress display: name, bar, count, elapsed and remaining time; gone when it is done."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


@contextmanager
def progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar while the block runs; yields a function to call with (done, total)."""
    with make_progress() as display:
        task = display.add_task(name, total=None)
        yield lambda done, total: display.update(task, completed=done, total=total)


@contextmanager
def steps(name: str) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar while the block runs; yields a function to call with (what is being done, done, total)."""
    with make_progress() as display:
        task = display.add_task(name, total=None)
        yield lambda what, done, total: display.update(task, description=what, completed=done, total=total)
