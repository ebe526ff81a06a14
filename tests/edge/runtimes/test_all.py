"""What every runtime must do, for clips and for streams."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime_helpers import SIDE, STATE, fading, variant

from vedette_edge.errors import MissingExtraError, RuntimeBackendError
from vedette_edge.manifest import StateTensor
from vedette_edge.runtimes import RUNTIMES, StreamingSession, load


@pytest.fixture(scope="module", params=sorted(RUNTIMES))
def runtime(request):
    return request.param


@pytest.fixture(scope="module")
def session(models, runtime):
    """A clip session."""
    return load(models[runtime, "clip"], variant(runtime, "clip"), threads=1)


@pytest.fixture(scope="module")
def streaming(models, runtime):
    return load(models[runtime, "stream"], variant(runtime), threads=1)


def frames(count, seed=0):
    return np.random.default_rng(seed).standard_normal((1, 3, count, SIDE, SIDE)).astype(np.float32)


def assert_fading(outputs, wanted, rows=slice(None)):
    logits, heatmap = wanted
    np.testing.assert_allclose(outputs.logits, logits[rows], atol=1e-5)
    np.testing.assert_allclose(outputs.heatmap, heatmap[rows], atol=1e-5)


@pytest.mark.parametrize("count", [1, 3])
def test_clips_are_judged_alone_or_together_though_the_model_takes_one_at_a_time(session, count):
    clips = np.random.default_rng(1).standard_normal((count, 3, 2, SIDE, SIDE)).astype(np.float32)
    outputs = session.run(clips)
    light = clips.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(outputs.heatmap, np.concatenate([-light, light], axis=1), atol=1e-6)
    np.testing.assert_allclose(outputs.logits, outputs.heatmap.mean(axis=(2, 3, 4)), atol=1e-6)
    assert (outputs.logits.dtype, outputs.heatmap.dtype) == (np.float32, np.float32)


def test_what_a_session_gave_stays_as_it_was(session):
    clips = np.ones((1, 3, 2, SIDE, SIDE), np.float32)
    first = session.run(clips)
    session.run(3 * clips)
    np.testing.assert_allclose(first.heatmap[0, 1], 1.0, rtol=1e-6)


def test_threads_may_share_a_clip_session(session):
    def logit(value):
        clips = np.full((1, 3, 2, SIDE, SIDE), value, np.float32)
        return [session.run(clips).logits[0, 1] for _ in range(50)]

    with ThreadPoolExecutor(4) as pool:
        for value, found in enumerate(pool.map(logit, range(4))):
            np.testing.assert_allclose(found, value, rtol=1e-6)


def test_what_is_no_model_cannot_be_loaded(runtime):
    files = [b"no model", b""] if runtime == "openvino" else [b"no model"]
    for mode in ("clip", "stream"):
        with pytest.raises(RuntimeBackendError, match="cannot load the model"):
            load(files, variant(runtime, mode))


def test_a_clip_of_another_shape_is_one_sentence(session):
    with pytest.raises(RuntimeBackendError, match="failed in inference") as caught:
        session.run(np.zeros((1, 3, 1, 2, 2), np.float32))
    assert "\n" not in str(caught.value)


def test_a_stream_tells_of_each_frame(streaming):
    assert isinstance(streaming, StreamingSession)
    pushed = frames(6)
    assert_fading(streaming.open_stream().push(pushed), fading(pushed))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(0, 9))
def test_any_cut_of_the_frames_gives_the_same_outputs(streaming, lengths, seed):
    pushed = frames(sum(lengths), seed)
    wanted, stream, begin = fading(pushed), streaming.open_stream(), 0
    for length in lengths:
        part = slice(begin, begin + length)
        assert_fading(stream.push(pushed[:, :, part]), wanted, part)
        begin += length


def test_a_stream_that_was_reset_is_as_new(streaming):
    stream = streaming.open_stream()
    for count in (1, 2):
        stream.push(frames(count, seed=5))
        stream.reset()
        pushed = frames(3)
        assert_fading(stream.push(pushed), fading(pushed))
        stream.reset()


def test_streams_do_not_disturb_each_other(streaming):
    seen = [frames(5, seed) for seed in range(2)]
    streams = [streaming.open_stream() for _ in seen]
    for index in range(5):
        for stream, pushed in zip(streams, seen, strict=True):
            outputs = stream.push(pushed[:, :, index : index + 1])
            assert_fading(outputs, fading(pushed), slice(index, index + 1))


def test_each_stream_may_have_a_thread(streaming):
    def follow(seed):
        pushed = frames(100, seed)
        return streaming.open_stream().push(pushed), fading(pushed)

    with ThreadPoolExecutor(4) as pool:
        for outputs, wanted in pool.map(follow, range(4)):
            assert_fading(outputs, wanted)


def test_what_a_stream_gave_stays_as_it_was(streaming):
    stream, pushed = streaming.open_stream(), frames(6)
    parts = [stream.push(pushed[:, :, index : index + 1]) for index in range(6)]
    for index, part in enumerate(parts):
        assert_fading(part, fading(pushed), slice(index, index + 1))


def test_a_frame_of_another_shape_is_an_error_and_changes_nothing(streaming):
    stream, pushed = streaming.open_stream(), frames(2)
    stream.push(pushed[:, :, :1])
    with pytest.raises(RuntimeBackendError, match="failed in inference"):
        stream.push(np.zeros((1, 3, 1, 2, 2), np.float32))
    assert_fading(stream.push(pushed[:, :, 1:]), fading(pushed), slice(1, 2))


@pytest.mark.parametrize(
    ("tensor", "sentence"),
    [
        (
            StateTensor(name="past", shape=(1, 2, 2), dtype="float32"),
            r"expected past: float32 \[1, 2, 2\], found float32 \[1, 4, 4\]; convert the run again",
        ),
        (
            StateTensor(name="past", shape=STATE.shape, dtype="float16"),
            r"expected past: float16 \[1, 4, 4\], found float32 \[1, 4, 4\]",
        ),
    ],
)
def test_a_state_that_is_not_the_manifests_is_refused(models, runtime, tensor, sentence):
    with pytest.raises(RuntimeBackendError, match=sentence):
        load(models[runtime, "stream"], variant(runtime, state=(tensor,)))


@pytest.mark.parametrize("names", [(), ("future",), ("future", "past")])
def test_a_state_of_other_names_is_refused(models, runtime, names):
    state = tuple(STATE.model_copy(update={"name": name}) for name in names)
    with pytest.raises(RuntimeBackendError, match=r"(future|past).*; convert the run again"):
        load(models[runtime, "stream"], variant(runtime, state=state))


@pytest.mark.parametrize(
    ("runtime", "libraries"),
    [
        ("onnx", ["onnxruntime"]),
        ("openvino", ["openvino"]),
        ("tflite", ["ai_edge_litert.interpreter", "tflite_runtime.interpreter"]),
    ],
)
def test_a_missing_library_names_its_extra(monkeypatch, runtime, libraries):
    for library in libraries:
        monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, RUNTIMES[runtime], raising=False)
    with pytest.raises(MissingExtraError, match=rf"vedette\[{runtime}\]"):
        load([b""], variant(runtime))
