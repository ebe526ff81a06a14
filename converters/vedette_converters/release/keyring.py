"""The private keys at hand here: found by the id of their public half, loaded when they first sign."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import urlparse

from securesystemslib.exceptions import UnsupportedLibraryError
from securesystemslib.signer import CryptoSigner, Signer, SSlibKey

from vedette_converters.release.keys import FILE, KeyFile, NoSecretError, load_private, read_key
from vedette_converters.release.secrets import VARIABLE, Secrets
from vedette_edge.errors import UsageError

__all__ = ["Keyring"]


class Keyring:
    """The private keys at hand here."""

    def __init__(self, places: Iterable[Path], secrets: Secrets) -> None:
        """Look into directories of keys, and at single NAME.json files.

        Raises:
            UpdateError: when one of them cannot be read.
        """
        self._secrets = secrets
        self._found: dict[str, tuple[KeyFile, Path]] = {}
        self._signers: dict[str, Signer | None] = {}
        for place in places:
            for path in _descriptions(place):
                described = read_key(path)
                self._found.setdefault(described.keyid, (described, path.parent))

    def name(self, keyid: str) -> str:
        """Return how a key is called here; the beginning of its id where it is not known."""
        return self._found[keyid][0].name if keyid in self._found else keyid[:12]

    def find(self, keyid: str) -> KeyFile | None:
        """Return a key by its id, the beginning of it, or its name; None where that is not one key here."""
        known = [key for key, _ in self._found.values() if key.name == keyid or key.keyid.startswith(keyid)]
        return known[0] if len(known) == 1 else None

    def signer(self, keyid: str) -> Signer | None:
        """Return what signs with a key; None where its private half or its secret is not here.

        Raises:
            UsageError: when the passphrase is wrong, or the key does not fit its public half.
        """
        if keyid not in self._signers:
            self._signers[keyid] = self._load(keyid)
        return self._signers[keyid]

    def _load(self, keyid: str) -> Signer | None:
        if keyid not in self._found:
            return None
        described, directory = self._found[keyid]
        if urlparse(described.uri).scheme != FILE:
            return _load_elsewhere(described, self._secrets)
        path = directory / described.uri.partition(":")[2]
        if not path.exists():
            return None
        try:
            private = load_private(path, described.name, self._secrets)
        except NoSecretError:
            return None
        key = described.key
        if not isinstance(key, SSlibKey) or SSlibKey.from_crypto(private.public_key()).keyval != key.keyval:
            raise UsageError(
                f"{path} is not the private half of {described.name}.json; put the right one there"
            )
        return CryptoSigner(private, key)


def _load_elsewhere(described: KeyFile, secrets: Secrets) -> Signer:
    def answer(kind: str) -> str:
        found = secrets.secret(described.name)
        if found is None:
            raise UsageError(f"the key '{described.name}' asks for its {kind}: set {VARIABLE}")
        return found

    try:
        return Signer.from_priv_key_uri(described.uri, described.key, answer)
    except UnsupportedLibraryError as error:
        raise UsageError(f"{described.uri}: {error}") from error
    except (ValueError, OSError) as error:
        raise UsageError(f"{described.uri}: cannot sign with this key ({error})") from error


def _descriptions(place: Path) -> Sequence[Path]:
    if place.is_dir():
        return sorted(place.glob("*.json"))
    return [place]
