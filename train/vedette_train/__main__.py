"""The door `vedette-train`: maps errors to one sentence and an exit code."""

from __future__ import annotations

import sys

from vedette_edge.errors import MissingExtraError, VedetteError

__all__ = ["main"]


def main() -> int:
    """Run the command line; return 0, 1 (failed), 2 (bad use or recipe) or 130 (interrupted)."""
    try:
        return _run()
    except VedetteError as error:
        print(f"vedette-train: error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("vedette-train: interrupted; go on with --resume", file=sys.stderr)
        return 130


def _run() -> int:
    try:
        from vedette_train.cli import app
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "typer", "train") from error
    try:
        app(standalone_mode=True)
    except SystemExit as exit_:
        return int(exit_.code or 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
