"""The command line of the device: `edge-agent run`, `check-config`, `watch`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from vedette_edge import __version__
from vedette_edge.agent import choose_variant, run_agent
from vedette_edge.broker import parse_address
from vedette_edge.bundle import open_bundle
from vedette_edge.config import check_cameras, load_config
from vedette_edge.logs import configure_logs
from vedette_edge.publish.wire import Broker
from vedette_edge.topics import Identifier, Topics
from vedette_edge.watch import Ending, Reader, Record, watch

__all__ = ["run_command"]

_DEFAULT_BROKER = "127.0.0.1:1883"


def run_command(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says.

    Raises:
        VedetteError: when it cannot be done.
        SystemExit: after --help and --version (0), and for arguments that are not understood (2).
    """
    options = _make_parser().parse_args(arguments)
    options.command(options)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edge-agent",
        description="Watches cameras with a trained model, and tells the control room over MQTT.",
        epilog="example: edge-agent run --config /etc/edge-agent.yaml",
    )
    parser.add_argument("--version", action="version", version=f"edge-agent {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_check_config(commands)
    _add_watch(commands)
    return parser


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = commands.add_parser(
        "run",
        help="watch the cameras of a configuration",
        description="Watches until it gets SIGTERM, or until all sources were files and have ended.",
        epilog="example: edge-agent run --config demo.yaml --embedded-broker --scores scores.jsonl",
    )
    run.add_argument("--config", type=Path, required=True, metavar="FILE", help="the configuration, YAML")
    run.add_argument(
        "--embedded-broker",
        nargs="?",
        const=_DEFAULT_BROKER,
        metavar="HOST:PORT",
        help=f"run a broker of our own, for demonstrations, on loopback (default: {_DEFAULT_BROKER})",
    )
    run.add_argument("--scores", type=Path, metavar="FILE", help="write one JSON line a window to FILE")
    run.add_argument(
        "--log", choices=("human", "json"), default="human", help="form of the log on standard error"
    )
    run.set_defaults(command=_run)


def _add_check_config(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    check = commands.add_parser(
        "check-config",
        help="say whether a configuration is right",
        description="Checks a configuration, and that it fits its bundle where that is there.",
        epilog="example: edge-agent check-config /etc/edge-agent.yaml",
    )
    check.add_argument("config", type=Path, metavar="FILE", help="the configuration, YAML")
    check.set_defaults(command=_check_config)


def _add_watch(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "watch",
        help="show alerts as they come",
        description="Subscribes to events, pictures and states, and shows them.",
        epilog="example: edge-agent watch --json --save pictures --until-disconnect",
    )
    parser.add_argument("--broker", default=_DEFAULT_BROKER, metavar="HOST:PORT", help="default: %(default)s")
    parser.add_argument("--protocol", choices=("5", "3.1.1"), default="3.1.1", help="default: %(default)s")
    parser.add_argument("--site", default="+", type=_topic_part, help="only this site")
    parser.add_argument("--node", default="+", type=_topic_part, help="only this node")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--save", type=Path, metavar="DIR", help="keep the pictures there")
    parser.add_argument(
        "--wait", type=float, default=5.0, metavar="S", help="for a broker to come (default: %(default)s)"
    )
    parser.add_argument("--count", type=int, metavar="N", help="end after N events")
    parser.add_argument("--until-idle", type=float, metavar="S", help="end after S seconds of silence")
    parser.add_argument("--until-disconnect", action="store_true", help="end when a node says goodbye")
    parser.add_argument("--timeout", type=float, metavar="S", help="end after S seconds in any case")
    parser.set_defaults(command=_watch)


def _topic_part(text: str) -> str:
    """Refuse what would make another topic than one of ours."""
    try:
        return text if text == "+" else TypeAdapter(Identifier).validate_python(text)
    except ValidationError:
        raise argparse.ArgumentTypeError(f"'{text}' is not of a-z, 0-9 and hyphens") from None


def _run(options: argparse.Namespace) -> None:
    configure_logs(options.log)
    given = options.embedded_broker
    embedded = None if given is None else parse_address(given, loopback=True)
    run_agent(load_config(options.config), scores=options.scores, embedded=embedded)


def _check_config(options: argparse.Namespace) -> None:
    config = load_config(options.config)
    cameras = f"{len(config.cameras)} camera(s)"
    if not config.bundle.exists():
        print(f"{options.config}: right, {cameras}; its bundle {config.bundle} is not there, not checked")
        return
    bundle = open_bundle(config.bundle)
    check_cameras(config, bundle.manifest)
    variant = choose_variant(bundle, config.variant)
    print(f"{options.config}: right, {cameras}, model '{bundle.manifest.name}', variant '{variant.name}'")


def _watch(options: argparse.Namespace) -> None:
    host, port = parse_address(options.broker)
    ending = Ending(options.count, options.until_idle, options.until_disconnect, options.timeout)

    def show(record: Record) -> None:
        print(json.dumps(record.data) if options.json else record.line, flush=True)

    watch(
        Broker(host, port, protocol=options.protocol),
        Topics(options.site, options.node),
        Reader(options.save),
        show,
        ending,
        patience=options.wait,
    )
    sys.stdout.flush()
