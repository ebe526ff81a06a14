"""Lets the public TUF conformance suite (theupdateframework/tuf-conformance) drive this device's client.

    python -m vedette_edge.ota.conformance --metadata-dir D init TRUSTED_ROOT
    python -m vedette_edge.ota.conformance --metadata-dir D --metadata-url U refresh
    python -m vedette_edge.ota.conformance --metadata-dir D --metadata-url U
        --target-name N --target-base-url B --target-dir T download

As that suite's CLIENT-CLI.md has it. The way is the device's own: `Client`, `Fetcher`, floor, `download`.
Only the time at which this code was built is not heeded: the suite also plays repositories of the past.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import TargetFile

from vedette_edge.errors import UpdateError, VedetteError
from vedette_edge.files import write_atomically
from vedette_edge.ota.client import Client
from vedette_edge.ota.download import download
from vedette_edge.ota.fetcher import Web
from vedette_edge.ota.pace import Pace

__all__ = ["main"]

_DEADLINE = 600.0  # seconds
_LEAST_RATE = 1024.0  # bytes a second


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve one command of the suite; return its exit code, 0 or 1."""
    parser = argparse.ArgumentParser(prog="vedette_edge.ota.conformance")
    parser.add_argument("--metadata-dir", type=Path, required=True)
    parser.add_argument("--metadata-url")
    parser.add_argument("--target-name", action="append", default=[])
    parser.add_argument("--target-base-url")
    parser.add_argument("--target-dir", type=Path)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init").add_argument("trusted_root", type=Path)
    commands.add_parser("refresh")
    commands.add_parser("download")
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING)
    try:
        if asked.command == "init":
            write_atomically(_beside(asked.metadata_dir, "root"), asked.trusted_root.read_bytes())
        elif asked.command == "refresh":
            _client(asked.metadata_url, asked.metadata_dir).refresh()
        else:
            client = _client(asked.metadata_url, asked.metadata_dir)
            for name in asked.target_name:
                _download(client, name, asked.target_base_url, asked.target_dir)
    except VedetteError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _beside(metadata_dir: Path, name: str) -> Path:
    """Return where something is kept that is no metadata: the suite reads every *.json in the directory."""
    return metadata_dir.with_name(f"{metadata_dir.name}.{name}.json")


def _client(url: str, metadata_dir: Path) -> Client:
    return Client(
        url,
        root=_beside(metadata_dir, "root").read_bytes(),
        cache=metadata_dir,
        floor=_beside(metadata_dir, "floor"),
        web=Web(url, Pace(_DEADLINE, _LEAST_RATE)),
        built=0.0,
    )


def _download(client: Client, name: str, url: str, directory: Path) -> None:
    target = client.target(name)
    if target is None:
        raise UpdateError(f"'{name}' is no target of the repository")
    path = directory / quote(name, "")
    if not _is(path, target):
        partial = directory / f".{path.name}"
        download(Web(url, Pace(_DEADLINE, _LEAST_RATE)), client.wanted(target, url), partial)
        partial.replace(path)


def _is(path: Path, target: TargetFile) -> bool:
    try:
        target.verify_length_and_hashes(path.read_bytes())
    except (OSError, RepositoryError):
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
