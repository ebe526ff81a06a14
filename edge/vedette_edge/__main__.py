"""The door `edge-agent`: arguments in, exit code out.

0: done. 1: failed, in a way that the user can mend. 2: wrong arguments or configuration. 130: interrupted.
Anything else is a defect and keeps its traceback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from vedette_edge.cli import run_command
from vedette_edge.errors import VedetteError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (by default the process's own); return the exit code."""
    try:
        run_command(argv)
    except VedetteError as error:
        print(f"edge-agent: error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; the interpreter's last flush must not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
