"""The door `vedette-train`: maps errors to one sentence and an exit code."""

from __future__ import annotations

import sys

from vedette_train.door import run_door

__all__ = ["main"]


def main() -> int:
    """Run the command line; return 0, 1 (failed), 2 (bad use or recipe) or 130 (interrupted)."""
    return run_door("vedette-train", "vedette_train.cli", extra="train")


if __name__ == "__main__":
    sys.exit(main())
