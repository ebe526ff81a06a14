from __future__ import annotations

import sys

import numpy as np
import pytest
from edge_helpers import FRAMES, GRID, SIDE, brightness_model, edit_manifest

from vedette_edge.bundle import open_bundle
from vedette_edge.errors import DigestError, MissingExtraError, RuntimeBackendError
from vedette_edge.runtimes import open_session
from vedette_edge.runtimes.onnx import OnnxSession


def test_a_model_gives_logits_and_heatmap():
    clip = np.zeros((1, 3, FRAMES, SIDE, SIDE), np.float32)
    clip[..., :8, :8] = 1.0
    outputs = OnnxSession(brightness_model(), threads=1).run(clip)
    assert outputs.logits.shape == (1, 2)
    assert outputs.heatmap.shape == (1, 2, FRAMES, GRID, GRID)
    np.testing.assert_allclose(outputs.logits, outputs.heatmap.mean(axis=(2, 3, 4)), rtol=1e-5)
    assert outputs.heatmap[0, 1].max() == outputs.heatmap[0, 1, 0, 0, 0] == pytest.approx(18.0)


def test_what_is_no_model_is_a_runtime_error():
    with pytest.raises(RuntimeBackendError, match="cannot load"):
        OnnxSession(b"no model")


def test_a_clip_of_another_shape_is_a_runtime_error():
    with pytest.raises(RuntimeBackendError, match="failed in inference"):
        OnnxSession(brightness_model()).run(np.zeros((1, 3, 1, 1, 1), np.float32))


def test_a_session_is_opened_from_a_bundle_with_its_digest_checked(bundle_dir):
    bundle = open_bundle(bundle_dir)
    open_session(bundle, bundle.variant())
    (bundle_dir / "model.onnx").write_bytes(b"other")
    with pytest.raises(DigestError):
        open_session(bundle, bundle.variant())


def test_a_runtime_that_this_version_lacks_is_answered_with_those_it_has(bundle_dir):
    edit_manifest(bundle_dir, lambda values: values["variants"][0].update(runtime="tflite"))
    bundle = open_bundle(bundle_dir)
    with pytest.raises(RuntimeBackendError, match="'tflite'; this version has: onnx"):
        open_session(bundle, bundle.variant())


def test_a_missing_library_names_its_extra(shared_bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "vedette_edge.runtimes.onnx", raising=False)
    bundle = open_bundle(shared_bundle)
    with pytest.raises(MissingExtraError, match=r"vedette\[onnx\]"):
        open_session(bundle, bundle.variant())
