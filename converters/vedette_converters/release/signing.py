"""Adds signatures to metadata that waits, wherever the key is: it needs the file and the key alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from securesystemslib.signer import Signer
from tuf.api.metadata import Metadata, Root, Targets, UnsignedMetadataError

from vedette_converters.release.repository import load
from vedette_converters.release.roles import delegated
from vedette_edge.errors import UpdateError, UsageError
from vedette_edge.files import write_atomically

__all__ = ["merge", "sentences", "sign"]


def sign(path: Path, keyids: Iterable[str], signers: Callable[[str], Signer | None]) -> tuple[str, ...]:
    """Sign metadata with each of these keys; return the ids of those that signed.

    Args:
        path: of the metadata; it is replaced.
        keyids: of the keys.
        signers: give what signs with a key.

    Raises:
        UpdateError: when the file is no metadata, cannot be written, or a key fails.
        UsageError: when none of the keys can sign here.
    """
    metadata = load(path)
    signed = []
    for keyid in keyids:
        signer = signers(keyid)
        if signer is None:
            continue
        try:
            metadata.sign(signer, append=True)
        except UnsignedMetadataError as error:
            raise UpdateError(f"{path}: the key {keyid[:12]} cannot sign it ({error})") from error
        signed.append(keyid)
    if not signed:
        raise UsageError(
            f"{path}: none of the keys given can sign here; give --key NAME.json and its passphrase"
        )
    _write(path, metadata)
    return tuple(signed)


def merge(path: Path, others: Sequence[Path]) -> tuple[str, ...]:
    """Add the signatures that copies of the same metadata have; return the ids of those that are new.

    Raises:
        UpdateError: when a file is no metadata, or cannot be written.
        UsageError: when another file says something else.
    """
    metadata = load(path)
    before = set(metadata.signatures)
    for other in others:
        copy = load(other)
        if copy.signed != metadata.signed:
            raise UsageError(f"{other} is not a copy of {path}: what is signed differs; sign the same file")
        metadata.signatures |= copy.signatures
    _write(path, metadata)
    return tuple(set(metadata.signatures) - before)


def sentences(metadata: Metadata[Any]) -> tuple[str, ...]:
    """Return what somebody signs, for that person to read."""
    signed = metadata.signed
    lines = [f"{signed.type}, version {signed.version}, expires {signed.expires:%Y-%m-%d %H:%M} UTC"]
    if isinstance(signed, Root):
        lines += [_keys(name, role.keyids, role.threshold) for name, role in signed.roles.items()]
    elif isinstance(signed, Targets):
        lines += [_keys(name, role.keyids, role.threshold) for name, role in delegated(metadata).items()]
        lines += [
            f"{name}: {target.custom or ''}"
            for name, target in sorted(signed.targets.items())
            if name.endswith("/release.json")
        ]
    return tuple(lines)


def _keys(name: str, keyids: Iterable[str], threshold: int) -> str:
    known = [keyid[:12] for keyid in keyids]
    return f"{name}: {threshold} of {len(known)} keys: {', '.join(known)}"


def _write(path: Path, metadata: Metadata[Any]) -> None:
    try:
        write_atomically(path, metadata.to_bytes())
    except OSError as error:
        raise UpdateError(f"{path}: cannot write it ({error.strerror})") from error
