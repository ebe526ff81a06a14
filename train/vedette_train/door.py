"""What the workstation's commands share: errors become one sentence and an exit code."""

from __future__ import annotations

import sys
from importlib import import_module

from vedette_edge.errors import MissingExtraError, VedetteError

__all__ = ["run_door"]

_INTERRUPTED = 130


def run_door(command: str, module: str, *, extra: str) -> int:
    """Run the typer application `module.app`.

    Args:
        command: name of the command, for its messages.
        module: where the application is; imported here, because it needs the extra.
        extra: the extra that brings what it needs.

    Returns:
        The exit code: 0, 1 (failed), 2 (bad use or configuration) or 130 (interrupted).
    """
    try:
        try:
            app = import_module(module).app
            app(prog_name=command)
        except ModuleNotFoundError as error:
            if error.name and error.name.startswith("vedette"):
                raise
            raise MissingExtraError(error.name or module, extra) from error
    except VedetteError as error:
        # Parsers, of YAML for example, explain over several lines.
        print(f"{command}: error: {' '.join(map(str.strip, str(error).splitlines()))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except SystemExit as exit_:  # typer's answer to everything, Ctrl-C included
        code = exit_.code if isinstance(exit_.code, int) else int(bool(exit_.code))
    else:
        code = 0
    if code == _INTERRUPTED:
        print(f"{command}: interrupted", file=sys.stderr)
    return code
