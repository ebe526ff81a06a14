"""How a command line says where the broker is, and how to speak to it."""

from __future__ import annotations

import argparse
from pathlib import Path

from vedette_edge.broker import parse_address
from vedette_edge.errors import UsageError
from vedette_edge.publish.wire import Broker, Tls

__all__ = ["add_broker_options", "broker_of_options"]


def add_broker_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `broker_of_options` reads."""
    group = parser.add_argument_group("broker")
    group.add_argument("--broker", default="127.0.0.1:1883", metavar="HOST:PORT", help="default: %(default)s")
    group.add_argument("--protocol", choices=("5", "3.1.1"), default="3.1.1", help="default: %(default)s")
    group.add_argument("--username", metavar="NAME")
    group.add_argument("--password-file", type=Path, metavar="FILE", help="its first line is the password")
    group.add_argument("--ca-file", type=Path, metavar="FILE", help="use TLS; signs the broker's certificate")
    group.add_argument("--cert-file", type=Path, metavar="FILE", help="certificate of this client")
    group.add_argument("--key-file", type=Path, metavar="FILE", help="its private key")


def broker_of_options(options: argparse.Namespace) -> Broker:
    """Return the broker that the options name.

    Raises:
        UsageError: when they do not belong together.
    """
    host, port = parse_address(options.broker)
    if (options.cert_file is None) != (options.key_file is None):
        raise UsageError("--cert-file and --key-file belong together: give both or neither")
    if options.cert_file is not None and options.ca_file is None:
        raise UsageError("--cert-file needs --ca-file, the certificates that may sign the broker's")
    if options.password_file is not None and options.username is None:
        raise UsageError("--password-file needs --username")
    tls = None if options.ca_file is None else Tls(options.ca_file, options.cert_file, options.key_file)
    return Broker(host, port, options.protocol, options.username, options.password_file, tls)
