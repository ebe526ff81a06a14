"""`edge-agent install`, `uninstall` and `board`: the service in its place, and what suits the machine."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vedette_edge.boards import Profile, detect, load_profiles, read_facts
from vedette_edge.config import load_config
from vedette_edge.errors import UsageError
from vedette_edge.installation import (
    CONFIG,
    activation,
    carry_out,
    deactivation,
    plan,
    removal,
    remove,
    run_all,
)

__all__ = ["add_parsers"]

_AUTO, _NONE = "auto", "none"
_ROOT = Path("/")


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    install = commands.add_parser(
        "install",
        help="put the service in its place",
        description="Writes the unit, its user, the board's devices and limits, and a configuration to edit; "
        "then starts it if the configuration is right.",
        epilog="example: sudo edge-agent install --config site.yaml",
    )
    install.add_argument(
        "--config", type=Path, metavar="FILE", help="install this one; by default the example"
    )
    install.add_argument(
        "--board",
        default=_AUTO,
        metavar="NAME",
        help=f"{_AUTO} (the default), {_NONE}, or a name that `board` lists",
    )
    _add_place(install)
    install.set_defaults(command=_install)

    uninstall = commands.add_parser(
        "uninstall",
        help="remove the service",
        description="Stops the service and removes its files. Configuration, keys, state and models stay.",
        epilog="example: sudo edge-agent uninstall --purge",
    )
    uninstall.add_argument(
        "--purge", action="store_true", help="remove configuration, keys, state and models, too"
    )
    _add_place(uninstall)
    uninstall.set_defaults(command=_uninstall)

    board = commands.add_parser(
        "board",
        help="say which board this is, and what suits it",
        description="Says which board this is, and what the agent does there by default.",
        epilog="example: edge-agent board",
    )
    board.set_defaults(command=_board)


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--root", type=Path, default=_ROOT, metavar="DIR", help="of an image that does not run"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")


def _install(options: argparse.Namespace) -> None:
    placed = plan(_profile(options), Path(sys.argv[0]).absolute(), options.config)
    if options.dry_run:
        for file in placed:
            print(f"# {file.path}{' (unless it is there)' if file.keep else ''}\n{file.content}")
        return
    if options.config:
        load_config(options.config)
    carry_out(placed, options.root, print)
    if options.root != _ROOT:
        return
    run_all(activation(start=options.config is not None), print)
    if options.config is None:
        print(
            f"edit {CONFIG}, check it with edge-agent check-config, then: systemctl enable --now edge-agent "
            "edge-agent-ota.timer edge-agent-ota.path"
        )


def _uninstall(options: argparse.Namespace) -> None:
    paths = removal(options.root, purge=options.purge)
    if options.dry_run:
        print("\n".join(map(str, paths)) or "there is nothing to remove")
        return
    if options.root == _ROOT and paths:
        run_all(deactivation(paths), print)
    remove(paths, print)
    if options.root == _ROOT and paths:
        run_all([("systemctl", "daemon-reload")], print)


def _profile(options: argparse.Namespace) -> Profile | None:
    profiles = load_profiles()
    if options.board == _NONE:
        return None
    if options.board == _AUTO:
        return detect(read_facts(options.root), profiles.values())
    if options.board not in profiles:
        raise UsageError(f"there is no board '{options.board}'; there are: {', '.join(profiles)}")
    return profiles[options.board]


def _board(options: argparse.Namespace) -> None:
    del options
    facts, profiles = read_facts(), load_profiles()
    profile = detect(facts, profiles.values())
    print(f"{facts}: {profile.title if profile else 'no known board; nothing is changed'}")
    if profile:
        print(f"  profile    {profile.name}")
        print(f"  install    pip install 'vedette[{','.join(profile.runtimes)}]', the best here first")
        for name, pipeline in profile.pipelines.items():
            print(f"  {name:9}  {pipeline}")
        for note in profile.notes:
            print(f"  note       {note}")
    print(f"known: {', '.join(profiles)}")
