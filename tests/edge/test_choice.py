from __future__ import annotations

import logging
import sys

import numpy as np
import pytest
from edge_helpers import add_variant, brightness_model, edit_manifest, entry, write_config
from judge_helpers import add_stream, write_picture_bundle
from runtime_helpers import onnx_clip

from vedette_edge.__main__ import main
from vedette_edge.benchmark import Benchmark, keep
from vedette_edge.bundle import open_bundle
from vedette_edge.choice import Candidate, Choice, candidates, placed
from vedette_edge.errors import BundleError, DigestError, MissingExtraError, ProofError, RuntimeBackendError
from vedette_edge.machine import this_machine
from vedette_edge.manifest import Measured
from vedette_edge.runtimes import onnx as onnx_runtime
from vedette_edge.runtimes.onnx import OnnxSession


def costs(**medians):
    return {
        name: Measured(machine="m", threads=1, p50_ms=p50, p95_ms=p50, peak_rss_bytes=1)
        for name, p50 in medians.items()
    }


@pytest.fixture
def logged(caplog):
    caplog.set_level(logging.INFO, "vedette_edge")
    return lambda: [record.getMessage() for record in caplog.records]


def choice_of(directory, name="auto", measured=None, mode="auto", **settings):
    bundle = open_bundle(directory)
    tried = placed(candidates(bundle, name, measured or {}, mode=mode))
    return Choice(bundle, tried, threads=1, named=name != "auto", **settings)


def chosen(*args, **settings):
    candidate, _ = choice_of(*args, **settings).next()
    return candidate.name


@pytest.fixture
def three(bundle_dir):
    """A bundle with onnx-fp32, its twin `twin`, and `live`, a stream."""
    add_variant(bundle_dir, "twin", brightness_model())
    add_stream(bundle_dir)
    return bundle_dir


@pytest.mark.parametrize(
    ("mode", "measured", "order"),
    [
        ("clip", {}, ["onnx-fp32", "twin"]),
        ("clip", {"twin": 1.0, "live": 0.1}, ["twin", "onnx-fp32"]),
        ("clip", {"twin": 2.0, "onnx-fp32": 1.0}, ["onnx-fp32", "twin"]),
        ("stream", {"twin": 2.0}, ["live"]),
        ("auto", {}, ["live", "onnx-fp32", "twin"]),
        ("auto", {"twin": 9.0}, ["twin", "live", "onnx-fp32"]),
        # A clip costs its time once in a hop, which is two frames here.
        ("auto", {"live": 1.0, "onnx-fp32": 1.9, "twin": 2.1}, ["onnx-fp32", "live", "twin"]),
    ],
)
def test_auto_tries_the_variants_the_cheapest_a_frame_first(three, mode, measured, order):
    found = candidates(open_bundle(three), "auto", costs(**measured), mode=mode)
    assert [variant.name for variant in found] == order


def test_a_name_leaves_no_choice(three):
    bundle = open_bundle(three)
    assert [variant.name for variant in candidates(bundle, "twin", costs(**{"onnx-fp32": 1.0}))] == ["twin"]
    with pytest.raises(BundleError, match="no variant 'other'; it has: onnx-fp32, twin, live"):
        candidates(bundle, "other", {})
    with pytest.raises(
        BundleError, match=r"no variant of task classify fits mode clip; there is: 'live' \(stream\)"
    ):
        candidates(bundle, "live", {}, mode="clip")


def test_a_model_of_anomalies_judges_single_pictures_alone(tmp_path):
    bundle = write_picture_bundle(tmp_path)
    assert [variant.name for variant in candidates(open_bundle(bundle), "auto", {})] == ["onnx-fp32"]
    with pytest.raises(BundleError, match="task anomaly fits mode stream"):
        candidates(open_bundle(bundle), "auto", {}, mode="stream")
    edit_manifest(bundle, lambda values: values["input"].update(frames=2))
    with pytest.raises(BundleError, match="single pictures, not on clips of 2 frames"):
        candidates(open_bundle(bundle), "auto", {})


def test_the_best_that_works_is_loaded_and_the_others_wait_for_their_turn(three):
    seen = []
    choice = choice_of(three, mode="clip", measured=costs(twin=1.5), on_try=lambda one: seen.append(one.name))
    candidate, proved = choice.next()
    assert candidate.name == "twin"
    assert proved.difference.logits_max <= 1e-3
    assert seen == ["twin"]
    candidate, _ = choice.next()
    assert (candidate.name, seen) == ("onnx-fp32", ["twin", "onnx-fp32"])
    with pytest.raises(BundleError, match="no variant works here: none is left to try"):
        choice.next()


def test_an_accelerator_is_part_of_a_candidates_name(three):
    variant = open_bundle(three).variant()
    assert Candidate(variant, ("cpu",)).name == "onnx-fp32"
    assert Candidate(variant, ("cuda", "cpu")).name == "onnx-fp32 on cuda"
    assert [one.name for one in placed([variant], ["tensorrt", "cuda"])] == [
        "onnx-fp32 on tensorrt",
        "onnx-fp32 on cuda",
        "onnx-fp32",
    ]


def test_an_accelerator_that_is_not_there_makes_room_for_the_cpu(three, logged):
    bundle = open_bundle(three)
    candidate, _ = Choice(bundle, placed([bundle.variant()], ["cuda"]), threads=1).next()
    assert candidate.name == "onnx-fp32"
    (passed,) = logged()
    assert "onnx-fp32 on cuda: this build of ONNX Runtime" in passed
    assert "has no CUDAExecutionProvider; it has: " in passed


def test_an_accelerator_that_computes_something_else_makes_room_for_the_cpu(three, logged, monkeypatch):
    def on_an_accelerator(files, _variant, threads, providers):
        model = files[0] if providers == ("cpu",) else brightness_model(bias=-1.0)
        return OnnxSession(model, threads)

    monkeypatch.setattr(onnx_runtime, "clip_session", on_an_accelerator)
    bundle = open_bundle(three)
    candidate, _ = Choice(bundle, placed([bundle.variant()], ["cuda"]), threads=1).next()
    assert candidate.name == "onnx-fp32"
    assert "onnx-fp32 on cuda: " in logged()[0]
    assert "does not give its expected outputs here" in logged()[0]


def test_one_that_does_not_work_here_is_passed_over_with_its_reason(three, logged, monkeypatch):
    add_variant(three, "wrong", brightness_model(bias=-1.0))
    add_variant(three, "broken", b"no model")
    add_variant(three, "absent", b"", runtime="openvino")
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "vedette_edge.runtimes.openvino", raising=False)
    assert chosen(three, measured=costs(absent=1.0, broken=2.0, wrong=3.0), mode="clip") == "onnx-fp32"
    absent, broken, wrong = logged()
    assert "passed over, as it does not work here: absent: " in absent
    assert "vedette[openvino]" in absent
    assert "broken: ONNX Runtime" in broken
    assert "wrong: " in wrong
    assert "does not give its expected outputs here" in wrong


def test_where_none_works_each_reason_is_told_once_and_nothing_is_logged(bundle_dir, logged):
    add_variant(bundle_dir, "broken", b"no model")
    np.save(bundle_dir / "golden_logits.npy", np.load(bundle_dir / "golden_logits.npy") + 0.5)
    logits = entry(bundle_dir, "golden_logits.npy")
    edit_manifest(bundle_dir, lambda values: values["golden"].update(logits=logits))
    with pytest.raises(BundleError, match=r"no variant works here: onnx-fp32: .*; broken: ") as caught:
        chosen(bundle_dir)
    assert type(caught.value) is BundleError
    assert not logged()


def test_a_changed_file_is_never_passed_over(three):
    (three / "model.onnx").write_bytes(b"another")
    with pytest.raises(DigestError):
        chosen(three, mode="clip")


def test_the_variant_that_is_named_has_its_own_errors(three, monkeypatch):
    add_variant(three, "wrong", brightness_model(bias=-1.0))
    add_variant(three, "absent", b"", runtime="tflite")
    for library in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"):
        monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, "vedette_edge.runtimes.tflite", raising=False)
    add_variant(three, "broken", b"no model")
    for name, error in (
        ("wrong", ProofError),
        ("absent", MissingExtraError),
        ("broken", RuntimeBackendError),
    ):
        with pytest.raises(error):
            chosen(three, name)


def test_a_model_of_other_shapes_is_passed_over(three, logged):
    add_variant(three, "small", onnx_clip())
    assert chosen(three, measured=costs(small=1.0), mode="clip") == "onnx-fp32"
    assert "small: ONNX Runtime failed in inference" in logged()[0]


def test_the_agents_own_measurements_are_used(three, tmp_path, flash_video, capsys):
    bundle = open_bundle(three)
    config = write_config(tmp_path / "c.yaml", three, flash_video, 1, threads=1)
    assert main(["check-config", str(config)]) == 0
    assert "variant 'live', else 'onnx-fp32', else 'twin'" in capsys.readouterr().out
    machine = this_machine(1)
    result = Benchmark(bundle=bundle.digest, machine=machine, measured=costs(twin=1.0), refused={})
    keep(result, tmp_path / "state" / "benchmarks")
    assert main(["check-config", str(config)]) == 0
    assert "variant 'twin', else 'live', else 'onnx-fp32'" in capsys.readouterr().out
