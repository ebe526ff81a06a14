"""`vedette-convert release init | key | fleet | rotate | sign`: whose keys count, and what they sign."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vedette_converters.commands.release_options import (
    DirectoryArgument,
    PassphraseOption,
    keyring,
    now,
    report_published,
    repository,
)
from vedette_edge.errors import UsageError
from vedette_train.console import log

if TYPE_CHECKING:
    from securesystemslib.signer import Key

    from vedette_converters.release.secrets import Secrets

__all__ = ["app"]

app = typer.Typer()

KeysHome = Annotated[Path, typer.Option("--keys", help="Where keys are, and new ones go; never served.")]
_GIVEN = "NAME.json or a URI (hsm:, file2:PATH), instead of new keys; several times."
GivenOption = Annotated[list[str], typer.Option(help=_GIVEN)]


@app.command(epilog="Example:  vedette-convert release init site --fleet gates --keys keys")
def init(
    directory: Annotated[Path, typer.Argument(help="The repository; must not be there yet.")],
    fleet: Annotated[list[str], typer.Option(help="A group of devices; several times.")],
    keys: KeysHome,
    root_keys: Annotated[int, typer.Option(min=1, help="How many to make.")] = 3,
    root_threshold: Annotated[int, typer.Option(min=1, help="How many must sign.")] = 2,
    targets_keys: Annotated[int, typer.Option(min=1, help="How many to make.")] = 3,
    targets_threshold: Annotated[int, typer.Option(min=1, help="How many must sign.")] = 2,
    fleet_keys: Annotated[int, typer.Option(min=1, help="How many to make, for each fleet.")] = 1,
    fleet_threshold: Annotated[int, typer.Option(min=1, help="How many must sign.")] = 1,
    root_key: GivenOption = [],  # noqa: B006  # typer copies it
    targets_key: GivenOption = [],  # noqa: B006
    fleet_key: GivenOption = [],  # noqa: B006
    online_key: GivenOption = [],  # noqa: B006
    passphrase_file: PassphraseOption = None,
) -> None:
    """Make a repository, and the keys that it needs.

    What can be signed here is; where a key is elsewhere, the command says what must be signed there.
    """
    from vedette_converters.release.publishing import publish
    from vedette_converters.release.rotation import check_names, establish
    from vedette_converters.release.secrets import Passphrases

    where, secrets = repository(directory), Passphrases(passphrase_file)
    if where.published().root is not None or any(where.staged().items()):
        raise UsageError(f"{directory} is a repository already; choose another place")
    if keys.resolve().is_relative_to(where.directory):
        raise UsageError(f"--keys {keys} would be served with {directory}; keep keys elsewhere")
    check_names(fleet)
    _enough(root_key, root_keys, root_threshold, "root")
    _enough(targets_key, targets_keys, targets_threshold, "targets")
    _enough(fleet_key, fleet_keys, fleet_threshold, "fleet")
    found = {
        "root": _keys(root_key, "root", root_keys, keys, secrets),
        "targets": _keys(targets_key, "targets", targets_keys, keys, secrets),
        "online": _keys(online_key, "online", 1, keys, secrets),
    }
    of_fleets = {one: _keys(fleet_key, one, fleet_keys, keys, secrets) for one in fleet}
    where.work.mkdir(parents=True, exist_ok=True)
    ring = keyring([keys], passphrase_file)
    with where.alone():
        thresholds = {"root": root_threshold, "targets": targets_threshold}
        establish(where, found, thresholds, of_fleets, fleet_threshold, now())
        done = publish(where, ring.signer, now())
    report_published(done, where)
    log(f"give each new device:  {where.device_root}")
    log(f"keys: {keys}; take those of root and targets elsewhere, see docs/releasing.md")


@app.command(epilog="Example:  vedette-convert release key root-2 --keys stick")
def key(
    name: Annotated[str, typer.Argument(help="Of the new key.")],
    keys: KeysHome,
    uri: Annotated[
        str,
        typer.Option(help="Where it is already: hsm: for a token, file2:PATH for a PEM; default: a new one."),
    ] = "new",
    passphrase_file: PassphraseOption = None,
) -> None:
    """Make or import a key, on the machine of whoever keeps it; hand on NAME.json alone."""
    from vedette_converters.release.keys import find_key
    from vedette_converters.release.secrets import Passphrases

    made = find_key(uri, keys, name, Passphrases(passphrase_file))
    log(f"key '{made.name}', {made.keyid[:12]}: {keys / made.name}.json may be shown to anyone")


@app.command(epilog="Example:  vedette-convert release fleet site docks --keys keys")
def fleet(
    directory: DirectoryArgument,
    name: Annotated[str, typer.Argument(help="Of the new fleet.")],
    keys: KeysHome,
    fleet_keys: Annotated[int, typer.Option(min=1, help="How many to make.")] = 1,
    threshold: Annotated[int, typer.Option(min=1, help="How many must sign.")] = 1,
    fleet_key: GivenOption = [],  # noqa: B006
    passphrase_file: PassphraseOption = None,
) -> None:
    """Add a fleet; the keys of targets must sign that."""
    from vedette_converters.release.rotation import add_fleet, check_names
    from vedette_converters.release.secrets import Passphrases

    where = repository(directory)
    with where.alone():
        check_names([name])
        those = _keys(fleet_key, name, fleet_keys, keys, Passphrases(passphrase_file))
        add_fleet(where, name, those, threshold, now())
    log(f"waits: {where.waiting('targets')}; sign it, then  vedette-convert release publish {directory}")


@app.command(
    epilog="Example:  vedette-convert release rotate site online --remove 3f2a91 --add new --keys keys"
)
def rotate(
    directory: DirectoryArgument,
    role: Annotated[str, typer.Argument(help="root, targets, online, or a fleet.")],
    keys: KeysHome,
    remove: Annotated[list[str], typer.Option(help="Its id, or the beginning; several times.")] = [],  # noqa: B006
    add: Annotated[
        list[str], typer.Option(help="NAME.json, a URI, or new:NAME to make one; several times.")
    ] = [],  # noqa: B006
    threshold: Annotated[int | None, typer.Option(min=1, help="How many must sign from now on.")] = None,
    passphrase_file: PassphraseOption = None,
) -> None:
    """Change the keys of a role, such as one that was lost or stolen; devices follow by themselves."""
    from vedette_converters.release.rotation import rotate as run_rotate
    from vedette_converters.release.secrets import Passphrases

    if not remove and not add and threshold is None:
        raise UsageError("nothing to change: give --remove, --add or --threshold")
    where, secrets = repository(directory), Passphrases(passphrase_file)
    with where.alone():
        added = [_added(text, keys, secrets) for text in add]
        removed = [_keyid(text, keys, passphrase_file) for text in remove]
        waits = run_rotate(where, role, remove=removed, add=added, threshold=threshold, now=now())
    log(
        f"waits: {where.waiting(waits)}; sign it, then  "
        f"vedette-convert release publish {directory} --keys {keys}"
    )


@app.command(epilog="Example:  vedette-convert release sign root.json --key stick/root-2.json")
def sign(
    file: Annotated[Path, typer.Argument(help="Metadata that waits for signatures, or a copy of it.")],
    key: Annotated[
        list[Path], typer.Option("--key", help="NAME.json beside its NAME.pem; several times.")
    ] = [],  # noqa: B006
    merge: Annotated[list[Path], typer.Option(help="A copy that was signed elsewhere; several times.")] = [],  # noqa: B006
    passphrase_file: PassphraseOption = None,
) -> None:
    """Add signatures to metadata. It needs the file and the key, and neither repository nor network."""
    from vedette_converters.release import signing
    from vedette_converters.release.keys import read_key
    from vedette_converters.release.repository import load

    if not key and not merge:
        raise UsageError("nothing to add: give --key or --merge")
    for sentence in signing.sentences(load(file)):
        log(sentence)
    signed: tuple[str, ...] = ()
    if merge:
        signed += signing.merge(file, merge)
    if key:
        ring = keyring(key, passphrase_file)
        signed += signing.sign(file, [read_key(one).keyid for one in key], ring.signer)
    log(f"{file}: signed by {', '.join(keyid[:12] for keyid in signed) or 'nobody new'}")


def _keys(given: Sequence[str], role: str, count: int, directory: Path, secrets: Secrets) -> list[Key]:
    from vedette_converters.release.keys import find_key, make_key

    if given:
        return [find_key(text, directory, f"{role}-{n}", secrets).key for n, text in enumerate(given, 1)]
    names = [f"{role}-{n}" for n in range(1, count + 1)] if count > 1 else [role]
    return [make_key(directory, name, secrets).key for name in names]


def _enough(given: Sequence[str], count: int, threshold: int, role: str) -> None:
    """Find out before a key is made."""
    if threshold > (len(given) or count):
        raise UsageError(
            f"--{role}-threshold {threshold}: there would be {len(given) or count} key(s); give more"
        )


def _added(text: str, directory: Path, secrets: Secrets) -> Key:
    from vedette_converters.release.keys import find_key, make_key

    if text.startswith("new:"):
        return make_key(directory, text.removeprefix("new:"), secrets).key
    if text == "new":
        raise UsageError("--add new: give the new key a name, such as new:online-2")
    return find_key(text, directory, text.partition(":")[0], secrets).key


def _keyid(text: str, keys: Path, passphrase_file: Path | None) -> str:
    """Return the id of a key that is called by its name; else what was given."""
    found = keyring([keys], passphrase_file).find(text)
    return found.keyid if found else text
