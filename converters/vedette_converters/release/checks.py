"""What a bundle must be before it is released: whole, and only what its manifest names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx

from vedette_edge.bundle import Bundle, open_bundle
from vedette_edge.errors import BundleError
from vedette_edge.manifest import MANIFEST_NAME, FileEntry, Manifest

__all__ = ["checked_files"]


def checked_files(directory: Path) -> tuple[FileEntry, ...]:
    """Return the files of a bundle, its manifest first, after each was checked.

    Raises:
        BundleError: when it is no bundle, a file is missing, damaged, a link, or not named, there are no
            golden samples, or a model keeps weights in further files.
    """
    there = set(_names(directory))
    bundle = open_bundle(directory)
    document = _manifest(bundle)
    entries = {entry.path: entry for entry in _entries(bundle.manifest)}
    unnamed = sorted(there - {*entries, MANIFEST_NAME})
    if unnamed:
        raise BundleError(
            f"{directory / unnamed[0]} is not named by {MANIFEST_NAME}: remove it, "
            "only what was proved is released"
        )
    models = {variant.files[0].path for variant in bundle.manifest.variants if variant.runtime == "onnx"}
    for entry in entries.values():
        data = bundle.read(entry)
        if entry.path in models:
            _refuse_external_data(directory / entry.path, data)
    if not len(bundle.read_array(bundle.manifest.golden.inputs)):
        raise BundleError(f"{directory} has no golden samples: no device could try it; convert the run again")
    named = FileEntry(path=MANIFEST_NAME, bytes=len(document), sha256=bundle.digest)
    return (named, *(entries[path] for path in sorted(entries)))


def _manifest(bundle: Bundle) -> bytes:
    path = bundle.directory / MANIFEST_NAME
    document = path.read_bytes()
    if path.is_symlink() or hashlib.sha256(document).hexdigest() != bundle.digest:
        raise BundleError(f"{path} is a link, or changed while it was read; copy the bundle again")
    return document


def _entries(manifest: Manifest) -> Iterator[FileEntry]:
    for variant in manifest.variants:
        yield from variant.files
    yield from (manifest.golden.inputs, manifest.golden.logits, manifest.golden.heatmap)


def _names(directory: Path) -> Iterator[str]:
    """Yield the relative path of each file.

    Raises:
        BundleError: for anything but a plain file or directory.
    """
    for place, folders, files in os.walk(directory):
        for name in (*folders, *files):
            path = Path(place) / name
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise BundleError(f"{path} is a link or no plain file; a bundle holds plain files alone")
        yield from ((Path(place) / name).relative_to(directory).as_posix() for name in files)


def _refuse_external_data(path: Path, data: bytes) -> None:
    from google.protobuf.message import DecodeError
    from onnx.external_data_helper import uses_external_data

    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise BundleError(f"{path} is no ONNX model ({error}); convert the run again") from error
    for tensor in _tensors(model):
        if uses_external_data(tensor):
            raise BundleError(
                f"{path} keeps weights in further files (external data), which no device loads; "
                "convert the run again, with all weights in the model"
            )


def _tensors(message: Any) -> Iterator[onnx.TensorProto]:
    """Yield every tensor at any depth: of graphs, their nodes' attributes, and functions."""
    if isinstance(message, onnx.TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for one in [value] if hasattr(value, "ListFields") else value:
            yield from _tensors(one)
