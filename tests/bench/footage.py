"""Real footage for the benchmarks that need it, and how one of them is run alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

DATA = Path(__file__).parents[3] / "shared" / "data"


def on_footage(run: Callable[[], Iterator[str]]) -> int:
    """Print the figures; return the exit code."""
    if not DATA.is_dir():
        print(f"no footage at {DATA}", file=sys.stderr)
        return 1
    for line in run():
        print(line, flush=True)
    return 0
