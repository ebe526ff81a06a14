from __future__ import annotations

import numpy as np
import onnx
import pytest
from edge_helpers import FRAMES, GRID, brightness_model
from edge_helpers import SIDE as WIDE
from onnx import TensorProto
from runtime_helpers import SIDE, STATE, onnx_clip, onnx_stream, variant

from vedette_edge.bundle import open_bundle
from vedette_edge.errors import DigestError, RuntimeBackendError
from vedette_edge.manifest import StateTensor
from vedette_edge.runtimes import load, open_session, open_streaming
from vedette_edge.runtimes.onnx import OnnxSession


def test_a_model_gives_logits_and_heatmap():
    clip = np.zeros((1, 3, FRAMES, WIDE, WIDE), np.float32)
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


def test_a_runtime_that_this_version_lacks_is_answered_with_those_it_has(shared_bundle):
    # The manifest's schema lets no other runtime through; what writes variants may.
    other = open_bundle(shared_bundle).variant().model_copy(update={"runtime": "coral"})
    with pytest.raises(RuntimeBackendError, match="'coral'; this version has: onnx, openvino, tflite"):
        load([b""], other)


def test_a_variant_is_opened_in_its_own_mode_only(shared_bundle):
    bundle = open_bundle(shared_bundle)
    with pytest.raises(RuntimeBackendError, match="'onnx-fp32' is of mode clip, not stream"):
        open_streaming(bundle, bundle.variant())


@pytest.mark.parametrize("mode", ["clip", "stream"])
def test_weights_in_further_files_are_refused_also_where_those_files_are(mode, tmp_path, monkeypatch):
    model = onnx.load_model_from_string(onnx_clip() if mode == "clip" else onnx_stream())
    path = tmp_path / "model.onnx"
    onnx.save_model(model, path, save_as_external_data=True, location="weights", size_threshold=0)
    monkeypatch.chdir(tmp_path)
    assert (tmp_path / "weights").exists()
    with pytest.raises(
        RuntimeBackendError, match=r"further files \(external data\).*save it with all weights"
    ):
        load([path.read_bytes()], variant("onnx", mode))


def test_a_batch_that_is_free_is_taken_at_once():
    outputs = load([onnx_clip("N")], variant("onnx", "clip")).run(np.ones((3, 3, 2, 4, 4), np.float32))
    np.testing.assert_allclose(outputs.logits, [[-1.0, 1.0]] * 3, rtol=1e-6)


def test_a_state_of_halves_stays_in_halves():
    half = StateTensor(name="past", shape=STATE.shape, dtype="float16")
    stream = load([onnx_stream(TensorProto.FLOAT16)], variant("onnx", state=(half,))).open_stream()
    # 2048 + 1 is no half: what is carried falls back to 2048, and half of it is 1024.
    stream.push(np.full((1, 3, 1, SIDE, SIDE), 2049, np.float32))
    outputs = stream.push(np.zeros((1, 3, 1, SIDE, SIDE), np.float32))
    np.testing.assert_array_equal(outputs.logits, [[-1024, 1024]])
