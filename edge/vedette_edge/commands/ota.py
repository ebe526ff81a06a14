"""`edge-agent ota look`, `status` and `adopt`: updates of models on this device."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from vedette_edge.config import AgentConfig, load_config
from vedette_edge.config.ota import OtaConfig
from vedette_edge.errors import UpdateError, UsageError
from vedette_edge.installation import CONFIG
from vedette_edge.logs import configure_logs
from vedette_edge.ota.fit import board_of, check_fit, users_of
from vedette_edge.ota.layout import Store, look_path
from vedette_edge.ota.lock import BusyError, only_one
from vedette_edge.ota.meter import Meter
from vedette_edge.ota.owner import become_owner
from vedette_edge.ota.standing import Standing, lines_of, read_standing
from vedette_edge.ota.store import ModelStore

if TYPE_CHECKING:
    from vedette_edge.ota.visit import Visited

__all__ = ["add_parser"]

_LIST = TypeAdapter(list[Standing])
_MOST_ROUNDS = 3  # of a look: what the agent asks for meanwhile is done at once, but not for ever


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `ota` to the commands."""
    parser = commands.add_parser(
        "ota",
        help="update models from a repository of releases",
        description="Updates models from afar, as section `ota` of the configuration says.",
        epilog="example: edge-agent ota status",
    )
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    look = actions.add_parser(
        "look",
        help="look once for newer models",
        description="Goes on with each update until it must wait for the agent, or is done. The service "
        "edge-agent-ota does this from time to time; it ends with 0 also where there is nothing to do.",
        epilog="example: sudo edge-agent ota look",
    )
    look.add_argument(
        "--log", choices=("human", "json"), default="human", help="form of the log on standard error"
    )
    look.set_defaults(command=_look)
    status = actions.add_parser(
        "status",
        help="show where each update stands",
        description="Shows what the updater and the agent have written about each model.",
        epilog="example: sudo edge-agent ota status --json",
    )
    status.add_argument("--json", action="store_true", help="print a JSON list")
    status.set_defaults(command=_status)
    adopt = actions.add_parser(
        "adopt",
        help="put a model in place by hand",
        description="Makes a bundle the committed model, as in a factory. That it is whole, and fits the "
        "cameras, is checked; nobody has signed it. Any release replaces it.",
        epilog="example: sudo edge-agent ota adopt door /media/usb/bundle",
    )
    adopt.add_argument("model", metavar="MODEL", help="its name in ota.models")
    adopt.add_argument("bundle", type=Path, metavar="BUNDLE", help="directory that vedette-convert wrote")
    adopt.set_defaults(command=_adopt)
    for action in (look, status, adopt):
        action.add_argument(
            "--config",
            type=Path,
            default=CONFIG,
            metavar="FILE",
            help="the agent's configuration (default: %(default)s)",
        )


def _look(options: argparse.Namespace) -> None:
    configure_logs(options.log, hold_back=False)
    config = load_config(options.config)
    ota = config.ota
    if ota is None:
        print(f"{options.config} has no section ota: there is nothing to look for")
        return
    become_owner(ota.store)
    try:
        with only_one(ota.store):
            found = _visits(config, ota)
    except BusyError as error:
        print(error)
        return
    if options.log == "human":
        standings = [read_standing(Store(ota.store), config.state_dir, one.model) for one in found]
        _show(standings)
    troubles = [f"model '{one.model}': {one.trouble}" for one in found if one.trouble]
    if troubles:
        raise UpdateError("; ".join(troubles))


def _visits(config: AgentConfig, ota: OtaConfig) -> list[Visited]:
    """Visit, and again where the agent has asked for it meanwhile: a hint to a unit that runs is lost."""
    # Imported by a look alone: the agent, which shares this command line, must not carry python-tuf.
    from vedette_edge.ota.probe import probe
    from vedette_edge.ota.stages import Tools
    from vedette_edge.ota.trust import TrustedRepository
    from vedette_edge.ota.visit import visit

    tools = Tools(
        repository=lambda: contextlib.closing(TrustedRepository(ota, Store(ota.store))),
        store=ModelStore,
        probe=partial(probe, state_dir=config.state_dir),
        board=board_of(config),
    )
    if sys.stderr.isatty():
        tools = replace(tools, watch=Meter(sys.stderr))
    asked = look_path(config.state_dir)
    for _ in range(_MOST_ROUNDS):
        before = _touched(asked)
        found = visit(config, ota, tools)
        if _touched(asked) == before:
            break
    return found


def _touched(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _status(options: argparse.Namespace) -> None:
    config = load_config(options.config)
    ota = config.ota
    if ota is None:
        print("[]" if options.json else f"{options.config} has no section ota: no model is updated")
        return
    standings = [read_standing(Store(ota.store), config.state_dir, model) for model in ota.models]
    if options.json:
        print(_LIST.dump_json(standings, indent=2).decode())
    else:
        _show(standings)
    troubles = [one.trouble for one in standings if one.trouble]
    if troubles:
        raise UpdateError("; ".join(troubles))


def _show(standings: list[Standing]) -> None:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    print("\n".join(lines_of(standings, time.time(), width=width)), flush=True)


def _adopt(options: argparse.Namespace) -> None:
    config = load_config(options.config)
    ota, model = config.ota, options.model
    if ota is None:
        raise UsageError(f"{options.config} has no section ota, which says where models lie: add it first")
    if model not in ota.models:
        raise UsageError(f"{options.config}: ota.models has no '{model}'; it has: {', '.join(ota.models)}")
    bundle = options.bundle.absolute()
    become_owner(ota.store)
    place = Store(ota.store).model(model)
    check_fit(bundle, users_of(place, config.every_model), config)
    with only_one(ota.store):
        record = ModelStore(place).adopt(bundle, time.time())
    assert record.committed is not None
    print(
        f"{bundle} is the committed model '{model}' now, in slot {record.committed.slot} of {place.directory}"
    )
