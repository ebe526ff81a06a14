"""Writes a bundle: all of it, or nothing.

Files are collected in memory-light steps in a temporary folder beside the target, which takes the
target's name only when everything in it is complete and synced.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vedette_edge.errors import UsageError
from vedette_edge.manifest import MANIFEST_NAME, FileEntry, Manifest

__all__ = ["BundleWriter", "new_bundle"]


class BundleWriter:
    """Adds files to a bundle that is being built."""

    def __init__(self, directory: Path) -> None:
        """Write into `directory`."""
        self.directory = directory

    def add(self, path: str, data: bytes) -> FileEntry:
        """Write a file and return its manifest entry."""
        target = self.directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return FileEntry(path=path, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())

    def add_array(self, path: str, array: NDArray[np.generic]) -> FileEntry:
        """Write an array as `.npy` and return its manifest entry."""
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        return self.add(path, buffer.getvalue())

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest, the last file of a bundle."""
        self.add(MANIFEST_NAME, manifest.to_json().encode())


@contextmanager
def new_bundle(out: Path) -> Iterator[BundleWriter]:
    """Yield a writer for a new bundle that appears at `out` when the block ends without an error.

    Raises:
        UsageError: when `out` exists.
    """
    refuse_existing(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        yield BundleWriter(temporary)
        temporary.chmod(0o755)
        temporary.rename(out)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def refuse_existing(out: Path) -> None:
    """Raise `UsageError` when there is something at `out` already."""
    if os.path.lexists(out):  # also a link to nowhere
        raise UsageError(f"{out} exists; a bundle is never overwritten: choose another --out or remove it")
