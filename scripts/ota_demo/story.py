"""What is told as the demo goes on, and whether it is as promised."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape

__all__ = ["PATIENCE", "Row", "Story", "command", "console"]

PATIENCE = 150.0  # seconds for any one thing, on a busy machine
_BIN = Path(sys.executable).parent

console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 150)


@dataclass(frozen=True)
class Row:
    """A line of the table at the end."""

    step: str
    device: str
    what: str
    seconds: float
    bytes: int


@dataclass
class Story:
    """One run of the demo.

    Attributes:
        out: below which it writes; commands run there.
        began: monotonic time.
        rows: of the table at the end.
        broken: promises that were not kept.
        steps: (Unix time, number) of each.
    """

    out: Path
    began: float = field(default_factory=time.monotonic)
    rows: list[Row] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    steps: list[tuple[float, str]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began

    def title(self, text: str) -> None:
        """Begin a step; `text` begins with its number."""
        self.steps.append((time.time(), text.partition(".")[0]))
        console.print(f"\n[bold]{text}[/]")

    def say(self, who: str, text: str) -> None:
        """Tell what happened to somebody; `text` is markup."""
        console.print(f"{self.seconds:6.1f} s  [magenta]{who:<9}[/] {text}")

    def expect(self, true: bool, what: str) -> None:
        """Tell where something is not as promised; the exit code tells it, too."""
        if not true:
            self.broken.append(what)
            console.print(f"[bold red]NOT AS PROMISED: {what}[/]")

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something to come true.

        Raises:
            TimeoutError: when it does not within `PATIENCE`.
        """
        until = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > until:
                raise TimeoutError(f"{what} did not come within {PATIENCE:g} s")
            time.sleep(0.1)

    def show(self, *words: object, after: str = "") -> list[str]:
        """Print a command as a user would type it; return what to start."""
        console.print(f"[bold cyan]$[/] {escape(shlex.join(map(str, words)))}{after}")
        return command(*words)

    def run(self, *words: object) -> None:
        """Print a command, and run it.

        Raises:
            CalledProcessError: when it fails.
        """
        subprocess.run(self.show(*words), check=True, cwd=self.out)


def command(*words: object) -> list[str]:
    """Return a command of this environment."""
    return [str(_BIN / str(words[0])), *map(str, words[1:])]
