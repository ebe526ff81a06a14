"""Keys that sign releases: files with passphrase, or wherever securesystemslib can sign (`hsm:`, ...).

A key is two files. `NAME.json` says what is public, and where its private half is; it may be shown to anyone.
`NAME.pem` is the private half, PKCS #8, encrypted, mode 0600; there is none where the URI leads elsewhere.
Nothing is overwritten.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlparse

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from securesystemslib.exceptions import UnsupportedLibraryError
from securesystemslib.signer import (
    SIGNER_FOR_URI_SCHEME,
    HSMSigner,
    Key,
    SSlibKey,
)

from vedette_converters.release.names import identifier
from vedette_converters.release.secrets import LEAST_LENGTH, VARIABLE, Secrets
from vedette_edge.errors import MissingExtraError, UpdateError, UsageError
from vedette_edge.files import write_atomically
from vedette_edge.topics import Identifier
from vedette_edge.validation import describe_errors

__all__ = [
    "FILE",
    "KeyFile",
    "NoSecretError",
    "find_key",
    "import_key",
    "load_private",
    "make_key",
    "read_key",
]

FILE = "file2"
_MOST_BYTES = 65_536


class KeyFile(BaseModel):
    """What is public of a key, and where its private half is."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    schema_version: Literal[1] = 1
    name: Identifier
    keyid: str = Field(pattern=r"^[0-9a-f]{8,128}$")
    public: dict[str, Any] = Field(description="Key type, scheme and value, as TUF writes them.")
    uri: str = Field(description="Of securesystemslib; a path of file2 is relative to this file.")

    @property
    def key(self) -> Key:
        """The public key.

        Raises:
            UpdateError: when it is none.
        """
        try:
            return Key.from_dict(self.keyid, dict(self.public))
        except (KeyError, TypeError, ValueError) as error:
            raise UpdateError(
                f"the key '{self.name}' is no public key ({error}); get its file again"
            ) from error


def make_key(directory: Path, name: str, secrets: Secrets) -> KeyFile:
    """Make an Ed25519 key in a directory.

    Raises:
        UsageError: when there is a key of that name, or no passphrase of 8 characters or more.
        UpdateError: when the directory cannot be written.
        MissingExtraError: when the cryptography library is not installed.
    """
    _refuse_existing(directory, name)
    passphrase = secrets.secret(name, new=True)
    if passphrase is None or len(passphrase) < LEAST_LENGTH:
        raise UsageError(
            f"the key '{name}' needs a passphrase of {LEAST_LENGTH} characters or more: type it at a "
            f"terminal, or set {VARIABLE}, {VARIABLE}_{name.upper().replace('-', '_')} or --passphrase-file"
        )
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import (
            BestAvailableEncryption,
            Encoding,
            PrivateFormat,
        )
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "cryptography", "release") from error
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase.encode())
    )
    public = SSlibKey.from_crypto(private.public_key())
    made = _described(name, public, f"{FILE}:{name}.pem")
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_private(directory / f"{name}.pem", pem)
        write_atomically(directory / f"{name}.json", _text(made))
    except OSError as error:
        raise UpdateError(f"{directory}: cannot write the key '{name}' ({error.strerror})") from error
    return made


def import_key(directory: Path, name: str, uri: str, secrets: Secrets) -> KeyFile:
    """Describe a key that is already there: `file2:PATH` of a PEM, or `hsm:` of a hardware token.

    Raises:
        UsageError: when there is a key of that name, or the URI leads to none that can be used here.
        UpdateError: when the directory cannot be written.
    """
    _refuse_existing(directory, name)
    scheme = urlparse(uri).scheme
    if scheme == FILE:
        path = Path(uri.partition(":")[2]).resolve()
        uri = f"{FILE}:{path}"
        public: SSlibKey = SSlibKey.from_crypto(load_private(path, name, secrets).public_key())
    elif scheme == HSMSigner.SCHEME:
        uri, public = _import_token(uri, name, secrets)
    else:
        known = ", ".join(f"{one}:" for one in sorted(SIGNER_FOR_URI_SCHEME))
        raise UsageError(
            f"{uri}: only file2: and hsm: can be asked for their public key here; for another of {known} "
            f"write {directory / name}.json by hand (docs/releasing.md)"
        )
    described = _described(name, public, uri)
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(directory / f"{name}.json", _text(described))
    except OSError as error:
        raise UpdateError(f"{directory}: cannot write the key '{name}' ({error.strerror})") from error
    return described


def read_key(path: Path) -> KeyFile:
    """Read what is public of a key.

    Raises:
        UpdateError: when the file cannot be read, or describes no key.
    """
    try:
        with path.open("rb") as file:
            found = KeyFile.model_validate_json(file.read(_MOST_BYTES))
    except OSError as error:
        raise UpdateError(f"{path}: cannot read this key ({error.strerror})") from error
    except ValidationError as error:
        raise UpdateError(f"{path} describes no key: {describe_errors(error, KeyFile)}") from error
    _ = found.key
    return found


def find_key(text: str, directory: Path, name: str, secrets: Secrets) -> KeyFile:
    """Return the key that an option names: a key's NAME.json, a URI to import, or "new" to make one.

    Args:
        text: of the option.
        directory: where a new or imported key goes.
        name: of such a key.
        secrets: its passphrase or PIN.

    Raises:
        VedetteError: as for `make_key`, `import_key` and `read_key`.
    """
    if text == "new":
        return make_key(directory, name, secrets)
    if urlparse(text).scheme in SIGNER_FOR_URI_SCHEME:
        return import_key(directory, name, text, secrets)
    return read_key(Path(text))


class NoSecretError(UsageError):
    """A key is encrypted, and its passphrase is not to be had here."""


def _described(name: str, public: SSlibKey, uri: str) -> KeyFile:
    return KeyFile(name=name, keyid=public.keyid, public=public.to_dict(), uri=uri)


def _text(key: KeyFile) -> bytes:
    return key.model_dump_json(indent=2).encode() + b"\n"


def _refuse_existing(directory: Path, name: str) -> None:
    identifier(name, "the key")
    for path in (directory / f"{name}.json", directory / f"{name}.pem"):
        if os.path.lexists(path):
            raise UsageError(f"{path} exists; a key is never overwritten: choose another name or place")


def _write_private(path: Path, pem: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())


def load_private(path: Path, name: str, secrets: Secrets) -> Any:
    """Return the private key in a PEM.

    Raises:
        NoSecretError: when it is encrypted, and its passphrase is not to be had here.
        UsageError: when the file cannot be read, is no PEM, or the passphrase is wrong.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        pem = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot read this private key ({error.strerror})") from error
    passphrase: bytes | None = None
    if b"ENCRYPTED" in pem:
        secret = secrets.secret(name)
        if secret is None:
            raise NoSecretError(f"{path} is encrypted: set {VARIABLE}, or give --passphrase-file")
        passphrase = secret.encode()
    try:
        return load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{path}: the passphrase is wrong, or this is no private key in PEM") from error


def _import_token(uri: str, name: str, secrets: Secrets) -> tuple[str, SSlibKey]:
    from urllib.parse import parse_qsl

    parts = urlparse(uri)
    try:
        return HSMSigner.import_(
            int(parts.path) if parts.path else None,
            dict(parse_qsl(parts.query)).get("label"),
            lambda _: secrets.secret(name) or "",
        )
    except UnsupportedLibraryError as error:
        raise UsageError(f"{uri}: {error}: run  pip install 'securesystemslib[hsm]'") from error
    except (ValueError, OSError) as error:
        raise UsageError(f"{uri}: no key can be used there ({error})") from error
