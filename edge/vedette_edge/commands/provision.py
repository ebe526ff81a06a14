"""`edge-agent provision`: keys and certificates for a node, the broker, or a control room."""

from __future__ import annotations

import argparse
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from vedette_edge.errors import UsageError
from vedette_edge.provision import Authority, mqtt_section
from vedette_edge.topics import Identifier

__all__ = ["add_parser"]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "provision",
        help="make keys and certificates for a node",
        description="Makes the key and the certificate of a node, or with --serves of a broker, signed by an "
        "authority of our own that is made at the first use. Keep ca.key offline; copy the folder.",
        epilog="example: edge-agent provision node-1 --authority keys --broker broker.example   "
        "(the broker's own: edge-agent provision broker --authority keys --serves broker.example)",
    )
    parser.add_argument("name", help="of the node; its certificate's common name")
    parser.add_argument(
        "--authority", type=Path, default=Path("keys"), metavar="DIR", help="default: %(default)s"
    )
    parser.add_argument(
        "--serves", action="append", default=[], metavar="HOST", help="it is a broker, and reached at HOST"
    )
    parser.add_argument("--broker", metavar="HOST", help="print the mqtt section for a broker at HOST")
    parser.set_defaults(command=_provision)


def _provision(options: argparse.Namespace) -> None:
    try:
        name = TypeAdapter(Identifier).validate_python(options.name)
    except ValidationError:
        raise UsageError(f"'{options.name}' is not of a-z, 0-9 and hyphens") from None
    authority = Authority(options.authority)
    if authority.establish():
        print(f"a new authority: {options.authority / 'ca.pem'}; keep {options.authority / 'ca.key'} offline")
    folder = authority.issue(name, hosts=tuple(options.serves))
    print(f"{folder}: {name}.pem, {name}.key, ca.pem")
    if options.broker:
        print(mqtt_section(Path("/etc/edge-agent/keys"), name, options.broker), end="")
