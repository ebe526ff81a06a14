"""What the commands of `vedette-convert release` share: where repository, keys and secrets are."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vedette_edge.errors import UsageError
from vedette_train.console import log

if TYPE_CHECKING:
    from vedette_converters.release.keyring import Keyring
    from vedette_converters.release.publishing import Published
    from vedette_converters.release.repository import Repository

__all__ = [
    "DirectoryArgument",
    "FleetOption",
    "KeysOption",
    "ModelOption",
    "PassphraseOption",
    "keyring",
    "now",
    "numbers",
    "report_published",
    "repository",
]

DirectoryArgument = Annotated[Path, typer.Argument(help="The repository; what is in it is served.")]
KeysOption = Annotated[
    list[Path],
    typer.Option("--keys", help="A directory of keys, or one NAME.json; may be given several times."),
]
PassphraseOption = Annotated[
    Path | None,
    typer.Option(help="A file with the passphrase; else VEDETTE_PASSPHRASE[_NAME], else it is asked for."),
]
FleetOption = Annotated[str, typer.Option(help="Whose release.")]
ModelOption = Annotated[str, typer.Option(help="The model's name on the devices.")]


def now() -> datetime:
    """Return the time, UTC."""
    return datetime.now(timezone.utc)


def repository(directory: Path) -> Repository:
    """Return the repository in a directory."""
    from vedette_converters.release.repository import Repository

    return Repository(directory)


def keyring(places: Iterable[Path], passphrase_file: Path | None) -> Keyring:
    """Return the keys at hand.

    Raises:
        UsageError: when the file of the passphrase cannot be read.
        UpdateError: when a key's file cannot be.
    """
    from vedette_converters.release.keyring import Keyring
    from vedette_converters.release.secrets import Passphrases

    return Keyring(places, Passphrases(passphrase_file))


def numbers(text: str, option: str) -> tuple[float, ...]:
    """Return the numbers of "0.01,0.1,1".

    Raises:
        UsageError: when one of them is none.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"{option} {text}: expected shares such as 0.01,0.1,0.5,1") from error


def report_published(done: Published, where: Repository) -> None:
    """Say what was published, and what waits for whom."""
    for role, version in done.written:
        log(f"published: {role}, version {version}")
    if not done.written:
        log("nothing was due; what is published stays as it is")
    for role, missing in (done.waiting or {}).items():
        path = where.waiting(role)
        if missing:
            log(
                f"waits: '{role}' lacks {missing} signature(s): take {path} to a key, then  "
                f"vedette-convert release sign {path.name} --key NAME.json",
                style="yellow",
            )
        else:
            log(f"waits: '{role}', until what it depends on is published", style="yellow")
    for note in done.notes:
        log(note, style="yellow")
