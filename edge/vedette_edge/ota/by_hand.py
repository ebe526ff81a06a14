"""The files of a bundle that somebody has put on the device: those that its manifest names, and it itself."""

from __future__ import annotations

from vedette_edge.bundle import Bundle
from vedette_edge.manifest import MANIFEST_NAME, FileEntry

__all__ = ["named_files"]


def named_files(bundle: Bundle) -> tuple[FileEntry, ...]:
    """Return the files that make a bundle, the manifest first, each path once.

    Raises:
        OSError: when the manifest cannot be read.
    """
    length = (bundle.directory / MANIFEST_NAME).stat().st_size
    golden, variants = bundle.manifest.golden, bundle.manifest.variants
    files = [
        FileEntry(path=MANIFEST_NAME, bytes=length, sha256=bundle.digest),
        golden.inputs,
        golden.logits,
        golden.heatmap,
        *(entry for variant in variants for entry in variant.files),
    ]
    return tuple({entry.path: entry for entry in files}.values())
