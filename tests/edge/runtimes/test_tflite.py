from __future__ import annotations

import os

import numpy as np
import pytest
from runtime_helpers import SIDE, STATE, fading, variant

from vedette_edge.errors import RuntimeBackendError
from vedette_edge.runtimes import load

INT8 = variant("tflite", precision="int8", state=(STATE.model_copy(update={"dtype": "int8"}),))


@pytest.mark.parametrize("chunks", [[6], [1] * 6])
def test_integers_are_turned_from_and_to_float_also_in_the_state(models, chunks):
    frames = np.random.default_rng(3).uniform(0, 1, (1, 3, 6, SIDE, SIDE)).astype(np.float32)
    stream = load(models["tflite", "int8"], INT8).open_stream()
    parts = [stream.push(part) for part in np.split(frames, np.cumsum(chunks)[:-1], axis=2)]
    found = np.concatenate([part.heatmap for part in parts])
    _, wanted = fading(frames)
    assert found.dtype == np.float32
    assert np.abs(wanted).max() > 0.8
    np.testing.assert_allclose(found, wanted, atol=0.05)


def test_a_state_of_integers_begins_as_zeros_whatever_their_zero_point_is(models):
    stream = load(models["tflite", "int8"], INT8).open_stream()
    dark = np.zeros((1, 3, 1, SIDE, SIDE), np.float32)
    np.testing.assert_allclose(stream.push(dark).heatmap, 0.0, atol=0.02)
    stream.push(dark + 1)
    stream.reset()
    np.testing.assert_allclose(stream.push(dark).heatmap, 0.0, atol=0.02)


def test_light_beyond_the_range_of_integers_is_cut(models):
    stream = load(models["tflite", "int8"], INT8).open_stream()
    bright = np.full((1, 3, 1, SIDE, SIDE), 1e6, np.float32)
    assert 0.9 < stream.push(bright).logits[0, 1] < 2.1


def test_a_model_of_another_signature_is_told_what_it_has(models):
    with pytest.raises(
        RuntimeBackendError, match="inputs of this LiteRT model are frame, past, expected clips"
    ):
        load(models["tflite", "stream"], variant("tflite", "clip"))


def test_left_to_itself_it_takes_all_cores_and_else_as_many_as_it_is_told(models, monkeypatch):
    from vedette_edge.runtimes import tflite

    seen = []

    class Spy(tflite.Interpreter):
        def __init__(self, **arguments):
            seen.append(arguments["num_threads"])
            super().__init__(**arguments)

    monkeypatch.setattr(tflite, "Interpreter", Spy)
    for threads in (0, 3):
        load(models["tflite", "clip"], variant("tflite", "clip"), threads)
    assert seen == [len(os.sched_getaffinity(0)), 3]
