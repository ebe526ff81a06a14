from __future__ import annotations

import pickle

import numpy as np
import pytest
from edge_helpers import edit_manifest, entry

from vedette_edge.bundle import open_bundle
from vedette_edge.errors import BundleError, DigestError
from vedette_edge.manifest import FileEntry


def test_a_bundle_hands_out_files_that_are_the_named_ones(shared_bundle):
    bundle = open_bundle(shared_bundle)
    golden = bundle.manifest.golden.inputs
    assert bundle.read(golden) == (shared_bundle / golden.path).read_bytes()
    assert bundle.read_array(golden).shape[0] == 2
    assert len(bundle.digest) == 64


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 100_000])
def test_another_file_is_refused(bundle_dir, content):
    (bundle_dir / "model.onnx").write_bytes(content)
    bundle = open_bundle(bundle_dir)
    with pytest.raises(DigestError, match="copy the bundle again"):
        bundle.read(bundle.variant().files[0])


def test_one_flipped_bit_is_seen(bundle_dir):
    path = bundle_dir / "model.onnx"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    bundle = open_bundle(bundle_dir)
    with pytest.raises(DigestError):
        bundle.read(bundle.variant().files[0])


def test_a_link_is_refused_even_to_the_right_file(bundle_dir):
    path = bundle_dir / "model.onnx"
    path.rename(bundle_dir / "real.onnx")
    path.symlink_to("real.onnx")
    bundle = open_bundle(bundle_dir)
    with pytest.raises(BundleError, match="cannot read"):
        bundle.read(bundle.variant().files[0])


@pytest.mark.parametrize("content", [b"no array", pickle.dumps([1])])
def test_what_is_no_plain_array_is_refused(bundle_dir, content):
    (bundle_dir / "x.npy").write_bytes(content)
    with pytest.raises(BundleError, match="not a plain array"):
        open_bundle(bundle_dir).read_array(FileEntry(**entry(bundle_dir, "x.npy")))


def test_pickled_arrays_are_refused(bundle_dir):
    np.save(bundle_dir / "x.npy", np.array([{}], dtype=object))
    with pytest.raises(BundleError, match="not a plain array"):
        open_bundle(bundle_dir).read_array(FileEntry(**entry(bundle_dir, "x.npy")))


def test_an_unknown_variant_is_answered_with_those_there_are(shared_bundle):
    assert open_bundle(shared_bundle).variant("onnx-fp32").runtime == "onnx"
    with pytest.raises(BundleError, match="no variant 'int8'; it has: onnx-fp32"):
        open_bundle(shared_bundle).variant("int8")


def test_the_digest_names_the_manifest(bundle_dir, shared_bundle):
    edit_manifest(bundle_dir, lambda values: values.update(release=2))
    assert open_bundle(bundle_dir).digest != open_bundle(shared_bundle).digest
