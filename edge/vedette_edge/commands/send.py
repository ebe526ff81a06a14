"""`edge-agent send`: asks a node for something, and prints its answer."""

from __future__ import annotations

import argparse
import json

from pydantic import TypeAdapter, ValidationError

from vedette_edge.commands.broker import add_broker_options, broker_of_options
from vedette_edge.errors import DataError, UsageError
from vedette_edge.remote.arguments import COMMANDS
from vedette_edge.remote.ask import ask
from vedette_edge.topics import Identifier, Topics
from vedette_edge.validation import describe_errors

__all__ = ["add_parser"]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `send` to the commands."""
    parser = commands.add_parser(
        "send",
        help="ask a node for something, and print its answer",
        description="Sends a command to a node over MQTT and prints the answer as JSON. Ends with 1 where "
        "the node refuses, or does not answer.",
        epilog="example: edge-agent send set_threshold --site hall --node node-1 --arg camera=door "
        "--arg label=fight --arg value=0.8",
    )
    parser.add_argument("name", choices=tuple(COMMANDS), metavar="NAME", help=", ".join(COMMANDS))
    parser.add_argument("--site", required=True, type=_identifier, help="site of the node")
    parser.add_argument("--node", required=True, type=_identifier, help="the node")
    parser.add_argument(
        "--arg",
        action="append",
        default=[],
        type=_pair,
        metavar="KEY=VALUE",
        help="an argument; JSON, else taken as text; @FILE is the text of a file",
    )
    parser.add_argument(
        "--timeout", type=float, default=10.0, metavar="S", help="for the answer (default: %(default)s)"
    )
    add_broker_options(parser)
    parser.set_defaults(command=_send)


def _send(options: argparse.Namespace) -> None:
    arguments = dict(options.arg)
    try:
        COMMANDS[options.name].model_validate(arguments)
    except ValidationError as error:
        raise UsageError(f"--arg: {describe_errors(error, COMMANDS[options.name])}") from error
    topics = Topics(options.site, options.node)
    result = ask(broker_of_options(options), topics, options.name, arguments, timeout=options.timeout)
    print(result.model_dump_json(indent=2), flush=True)
    if not result.ok:
        raise DataError(f"{options.site}/{options.node} did not do it ({result.reason}): {result.error}")


def _pair(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"'{text}' is not of the form KEY=VALUE")
    if value.startswith("@"):
        try:
            with open(value[1:], encoding="utf-8") as file:
                return key, file.read()
        except (OSError, ValueError) as error:
            raise argparse.ArgumentTypeError(f"cannot read '{value[1:]}': {error}") from None
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _identifier(text: str) -> str:
    try:
        return TypeAdapter(Identifier).validate_python(text)
    except ValidationError:
        raise argparse.ArgumentTypeError(f"'{text}' is not of a-z, 0-9 and hyphens") from None
