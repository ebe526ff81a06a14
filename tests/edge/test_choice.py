from __future__ import annotations

import logging
import sys

import numpy as np
import pytest
from edge_helpers import add_variant, brightness_model, edit_manifest, entry, write_config
from runtime_helpers import onnx_clip

from vedette_edge.__main__ import main
from vedette_edge.benchmark import Benchmark, keep
from vedette_edge.bundle import open_bundle
from vedette_edge.choice import candidates, open_best
from vedette_edge.errors import BundleError, DigestError, MissingExtraError, ProofError
from vedette_edge.machine import this_machine
from vedette_edge.manifest import Measured


def costs(**medians):
    return {
        name: Measured(machine="m", threads=1, p50_ms=p50, p95_ms=p50, peak_rss_bytes=1)
        for name, p50 in medians.items()
    }


@pytest.fixture
def logged(caplog):
    caplog.set_level(logging.INFO, "vedette_edge")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.fixture
def three(bundle_dir):
    """A bundle with onnx-fp32, its twin `twin`, and `live`, a stream."""
    add_variant(bundle_dir, "twin", brightness_model())
    add_variant(bundle_dir, "live", b"", mode="stream")
    return bundle_dir


@pytest.mark.parametrize(
    ("measured", "order"),
    [
        ({}, ["onnx-fp32", "twin"]),
        ({"twin": 1.0, "live": 0.1}, ["twin", "onnx-fp32"]),
        ({"twin": 2.0, "onnx-fp32": 1.0}, ["onnx-fp32", "twin"]),
    ],
)
def test_auto_tries_the_clip_variants_the_fastest_first(three, measured, order):
    found = candidates(open_bundle(three), "auto", costs(**measured))
    assert [variant.name for variant in found] == order


def test_a_name_leaves_no_choice(three):
    bundle = open_bundle(three)
    assert [variant.name for variant in candidates(bundle, "twin", costs(**{"onnx-fp32": 1.0}))] == ["twin"]
    with pytest.raises(BundleError, match="no variant 'other'; it has: onnx-fp32, twin, live"):
        candidates(bundle, "other", {})
    with pytest.raises(
        BundleError, match="'live': this agent runs task classify in mode clip, not classify in mode"
    ):
        candidates(bundle, "live", {})


def test_the_fastest_is_opened_and_the_log_says_why(three, logged):
    proved = open_best(open_bundle(three), "auto", costs(twin=1.5), threads=1)
    assert proved.variant.name == "twin"
    assert proved.difference.logits_max <= 1e-3
    assert logged() == ["variant 'twin' was chosen: 1.5 ms a call, the fastest that works"]


def test_one_that_does_not_work_here_is_passed_over_with_its_reason(three, logged, monkeypatch):
    add_variant(three, "wrong", brightness_model(bias=-1.0))
    add_variant(three, "broken", b"no model")
    add_variant(three, "absent", b"", runtime="openvino")
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "vedette_edge.runtimes.openvino", raising=False)
    measured = costs(absent=1.0, broken=2.0, wrong=3.0)
    assert open_best(open_bundle(three), "auto", measured, threads=1).variant.name == "onnx-fp32"
    absent, broken, wrong, chosen = logged()
    assert "passed over, as it does not work here: absent: " in absent
    assert "vedette[openvino]" in absent
    assert "broken: ONNX Runtime" in broken
    assert "wrong: " in wrong
    assert "does not give its expected outputs here" in wrong
    assert chosen == "variant 'onnx-fp32' was chosen: the first that works, unmeasured"


def test_where_none_works_each_reason_is_told_once_and_nothing_is_logged(bundle_dir, logged):
    add_variant(bundle_dir, "broken", b"no model")
    np.save(bundle_dir / "golden_logits.npy", np.load(bundle_dir / "golden_logits.npy") + 0.5)
    logits = entry(bundle_dir, "golden_logits.npy")
    edit_manifest(bundle_dir, lambda values: values["golden"].update(logits=logits))
    with pytest.raises(
        BundleError, match=r"no variant of mode clip works here: onnx-fp32: .*; broken: "
    ) as caught:
        open_best(open_bundle(bundle_dir), "auto", {}, threads=1)
    assert type(caught.value) is BundleError
    assert not logged()


def test_a_changed_file_is_never_passed_over(three):
    (three / "model.onnx").write_bytes(b"another")
    with pytest.raises(DigestError):
        open_best(open_bundle(three), "auto", {}, threads=1)


def test_the_variant_that_is_named_has_its_own_errors(three, monkeypatch):
    add_variant(three, "wrong", brightness_model(bias=-1.0))
    add_variant(three, "absent", b"", runtime="tflite")
    for library in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"):
        monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, "vedette_edge.runtimes.tflite", raising=False)
    bundle = open_bundle(three)
    with pytest.raises(ProofError):
        open_best(bundle, "wrong", {}, threads=1)
    with pytest.raises(MissingExtraError):
        open_best(bundle, "absent", {}, threads=1)


def test_a_model_of_other_shapes_is_passed_over(three, logged):
    add_variant(three, "small", onnx_clip())
    assert open_best(open_bundle(three), "auto", costs(small=1.0), threads=1).variant.name == "onnx-fp32"
    assert "small: ONNX Runtime failed in inference" in logged()[0]


def test_the_agents_own_measurements_are_used(three, tmp_path, flash_video, capsys):
    bundle = open_bundle(three)
    config = write_config(tmp_path / "c.yaml", three, flash_video, 1, threads=1)
    assert main(["check-config", str(config)]) == 0
    assert "variant 'onnx-fp32', else 'twin'" in capsys.readouterr().out
    machine = this_machine(1)
    result = Benchmark(bundle=bundle.digest, machine=machine, measured=costs(twin=1.0), refused={})
    keep(result, tmp_path / "state" / "benchmarks")
    assert main(["check-config", str(config)]) == 0
    assert "variant 'twin', else 'onnx-fp32'" in capsys.readouterr().out
