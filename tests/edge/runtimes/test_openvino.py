from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys

import pytest
from runtime_helpers import onnx_clip, openvino_files, variant

from vedette_edge.errors import RuntimeBackendError
from vedette_edge.runtimes import load, openvino

_PR_SET_MDWE, _REFUSE_GAIN = 65, 1


@pytest.fixture(scope="module")
def files():
    return openvino_files(onnx_clip())


@pytest.fixture
def settings(monkeypatch):
    """Collects what models are compiled with."""
    seen = []
    compiled = openvino.ov.Core.compile_model

    def spy(core, model, device, config):
        seen.append((device, dict(config)))
        return compiled(core, model, device, config)

    monkeypatch.setattr(openvino.ov.Core, "compile_model", spy)
    return seen


@pytest.mark.parametrize(
    ("precision", "threads", "expected"),
    [
        ("fp32", 0, {"INFERENCE_PRECISION_HINT": "f32"}),
        ("fp16", 0, {}),
        ("int8", 2, {"INFERENCE_NUM_THREADS": 2}),
    ],
)
def test_only_fp32_is_kept_from_the_plugins_own_precision(files, settings, precision, threads, expected):
    load(files, variant("openvino", "clip", precision=precision), threads)
    assert settings == [("CPU", {"PERFORMANCE_HINT": "LATENCY"} | expected)]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_model_of_another_number_of_files_is_refused(files, count):
    with pytest.raises(RuntimeBackendError, match=f"is two files, .xml and .bin, found {count}"):
        load((files * 2)[:count], variant("openvino", "clip"))


def test_weights_that_are_too_short_are_one_sentence(files):
    with pytest.raises(RuntimeBackendError, match="cannot load the model") as caught:
        load([files[0], b""], variant("openvino", "clip"))
    assert "\n" not in str(caught.value)


def _load_where_code_cannot_be_written(files, answer):
    if ctypes.CDLL(None).prctl(_PR_SET_MDWE, _REFUSE_GAIN, 0, 0, 0) != 0:
        answer.put(None)
        return
    try:
        load(files, variant("openvino", "clip"))
    except RuntimeBackendError as error:
        answer.put(str(error))


def test_a_service_that_forbids_to_write_code_is_told_what_to_set(files):
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=_load_where_code_cannot_be_written, args=(files, answer))
    process.start()
    sentence = answer.get(timeout=60)
    process.join()
    if sentence is None:
        pytest.skip("this kernel cannot forbid it")
    assert "set MemoryDenyWriteExecute=no" in sentence


def _load_twice_drop_both_and_take_a_signal(files):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    sessions = [load(files, variant("openvino", "clip")) for _ in range(2)]
    while sessions:
        sessions.pop(0)
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_process_that_has_dropped_its_models_still_ends_in_order(files):
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_load_twice_drop_both_and_take_a_signal, args=(files,))
    process.start()
    process.join(60)
    assert process.exitcode == 7
