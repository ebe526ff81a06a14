from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from edge_helpers import FRAMES, GRID, brightness_model
from edge_helpers import SIDE as WIDE
from onnx import TensorProto
from runtime_helpers import SIDE, STATE, onnx_clip, onnx_stream, variant

from vedette_edge.bundle import open_bundle
from vedette_edge.errors import DigestError, MissingExtraError, RuntimeBackendError
from vedette_edge.manifest import StateTensor
from vedette_edge.runtimes import load, open_session, open_streaming, placements
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


def offer(monkeypatch, *names):
    monkeypatch.setattr(ort, "get_available_providers", lambda: list(names))


def test_a_model_may_run_on_what_the_build_offers_the_fastest_kind_first_the_cpu_last(monkeypatch):
    offer(
        monkeypatch,
        *("AzureExecutionProvider", "CPUExecutionProvider", "CUDAExecutionProvider"),
        *("TensorrtExecutionProvider",),
    )
    assert placements(variant("onnx")) == [("tensorrt", "cuda", "cpu"), ("cuda", "cpu"), ("cpu",)]
    assert placements(variant("onnx"), ["cuda"]) == [("cuda", "cpu"), ("cpu",)]
    assert placements(variant("onnx"), ["cpu", "xnnpack"]) == [("xnnpack", "cpu"), ("cpu",)]
    assert placements(variant("onnx"), []) == [("cpu",)]


@pytest.mark.parametrize("runtime", ["openvino", "tflite"])
def test_other_runtimes_have_no_such_choice(runtime):
    assert placements(variant(runtime), ["cuda"]) == [("cpu",)]


def test_where_onnx_runtime_is_not_installed_loading_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "vedette_edge.runtimes.onnx", raising=False)
    assert placements(variant("onnx")) == [("cpu",)]
    with pytest.raises(MissingExtraError, match=r"vedette\[onnx\]"):
        load([onnx_clip()], variant("onnx", "clip"))


@pytest.mark.parametrize("mode", ["clip", "stream"])
def test_an_accelerator_that_does_not_start_is_an_error_and_never_the_cpu_in_silence(mode, monkeypatch):
    offer(monkeypatch, "CUDAExecutionProvider", "CPUExecutionProvider")
    model = onnx_clip() if mode == "clip" else onnx_stream()
    # The build at hand has none, and says so in its own way.
    with (
        pytest.warns(UserWarning, match="CUDAExecutionProvider"),
        pytest.raises(RuntimeBackendError, match="cannot start CUDAExecutionProvider"),
    ):
        load([model], variant("onnx", mode), 1, ("cuda", "cpu"))


def test_in_inference_no_other_provider_takes_over_in_silence():
    assert OnnxSession(onnx_clip(), 1)._session._enable_fallback is False


_USE = """
import sys
import {first}
from vedette_edge.runtimes.onnx import OnnxSession
OnnxSession(open(sys.argv[1], "rb").read())
"""


@pytest.mark.parametrize("first", ["vedette_edge.runtimes.onnx", "vedette_converters.targets.onnx"])
def test_onnx_runtime_keeps_no_account_for_its_maker(first, tmp_path):
    model, home = tmp_path / "model.onnx", tmp_path / "home"
    model.write_bytes(brightness_model())
    home.mkdir()
    # Where it believes that it is being tested, it keeps none anyway.
    unset = ("CI", "XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS")
    environment = {name: value for name, value in os.environ.items() if name not in unset} | {
        "HOME": str(home)
    }
    program = _USE.format(first=first)
    subprocess.run([sys.executable, "-c", program, str(model)], env=environment, check=True, timeout=60)
    assert not [*home.rglob("*onnxruntime*")]
