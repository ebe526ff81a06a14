"""`edge-agent status`: what the agent on this device is doing, as a table that renews itself."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import time
from pathlib import Path

from vedette_edge.config import load_config
from vedette_edge.operation.status import Status, read_status, sockets
from vedette_edge.operation.table import lines_of

__all__ = ["add_parser"]

_HOME, _ERASE = "\x1b[H", "\x1b[J"
_RENEW = 1.0  # seconds


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "status",
        help="show what the agent on this device is doing",
        description="Shows node, broker, cameras and models of the agent that runs on this device, and "
        "renews itself every second on a terminal. Run it as root, or as the agent's own user.",
        epilog="example: edge-agent status --once",
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="of an agent that is not the service of this device"
    )
    parser.add_argument("--once", action="store_true", help="show it once, and end")
    parser.add_argument("--json", action="store_true", help="print one JSON object, and end")
    parser.set_defaults(command=_status)


def _status(options: argparse.Namespace) -> None:
    paths = sockets(load_config(options.config).state_dir if options.config else None)
    status = read_status(paths)
    if options.json:
        print(status.model_dump_json(indent=2))
    elif options.once or not sys.stdout.isatty():
        _show(status)
    else:
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                print(end=_HOME + _ERASE)
                _show(status)
                time.sleep(_RENEW)
                status = read_status(paths)


def _show(status: Status) -> None:
    terminal = sys.stdout.isatty()
    # A file or another program gets whole lines.
    width = shutil.get_terminal_size().columns if terminal else sys.maxsize
    colour = terminal and "NO_COLOR" not in os.environ
    print("\n".join(lines_of(status, time.time(), width=width, colour=colour)), flush=True)
