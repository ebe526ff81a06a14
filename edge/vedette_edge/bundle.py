"""Opens a bundle: reads its manifest and hands out files only after their digest was checked.

The bytes that were hashed are the bytes that are returned, so a file swapped between check and use is
never loaded. Symbolic links are refused.
"""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vedette_edge.errors import BundleError, DigestError
from vedette_edge.manifest import MANIFEST_NAME, FileEntry, Manifest, Variant, read_manifest

__all__ = ["Bundle", "open_bundle"]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose manifest was read and validated.

    Attributes:
        directory: where its files lie.
        manifest: what it is.
        digest: SHA-256 of manifest.json, which names the model as a whole.
    """

    directory: Path
    manifest: Manifest
    digest: str

    def read(self, entry: FileEntry) -> bytes:
        """Return a file's bytes.

        Raises:
            BundleError: when the file is missing, a link, or unreadable.
            DigestError: when its length or SHA-256 is not what the manifest names.
        """
        data = _read_regular_file(self.directory / entry.path, entry.bytes)
        found = hashlib.sha256(data).hexdigest()
        if len(data) != entry.bytes or found != entry.sha256:
            raise DigestError(
                f"{self.directory / entry.path} is not the file that {MANIFEST_NAME} names: expected "
                f"{entry.bytes} bytes with sha256 {entry.sha256[:12]}..., found {len(data)} bytes with "
                f"{found[:12]}...; copy the bundle again"
            )
        return data

    def read_array(self, entry: FileEntry) -> NDArray[np.generic]:
        """Return a `.npy` file as an array; pickled content is refused.

        Raises:
            BundleError: as for `read`, and when the file is not a plain array.
        """
        try:
            array: NDArray[np.generic] = np.load(io.BytesIO(self.read(entry)), allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise BundleError(f"{self.directory / entry.path} is not a plain array: {error}") from error
        return array

    def variant(self, name: str | None = None) -> Variant:
        """Return the variant of that name, or the first one.

        Raises:
            BundleError: when there is no such variant; the message lists those there are.
        """
        for variant in self.manifest.variants:
            if name is None or variant.name == name:
                return variant
        names = ", ".join(variant.name for variant in self.manifest.variants)
        raise BundleError(f"{self.directory} has no variant '{name}'; it has: {names}")


def open_bundle(directory: Path) -> Bundle:
    """Read a bundle's manifest; its files are checked when they are read.

    Raises:
        ManifestError: when the manifest cannot be read or is not valid.
    """
    manifest = read_manifest(directory)
    digest = hashlib.sha256((directory / MANIFEST_NAME).read_bytes()).hexdigest()
    return Bundle(directory, manifest, digest)


def _read_regular_file(path: Path, expected: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        with os.fdopen(descriptor, "rb") as file:
            # One byte more than expected is enough to tell that the file is too long.
            return file.read(expected + 1)
    except OSError as error:
        raise BundleError(f"{path}: cannot read this file of the bundle ({error.strerror})") from error
