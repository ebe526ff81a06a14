from __future__ import annotations

import os
import signal
import sys

import numpy as np
import onnx
import pytest
from edge_helpers import add_variant, brightness_model, edit_manifest, entry
from onnx import helper

from vedette_edge.config import ModelConfig
from vedette_edge.errors import UpdateError
from vedette_edge.ota.probe import Figures, judge, probe
from vedette_edge.ota.release import Budget

FOUND = Figures(variant="onnx-fp32", p95_ms=10.0, peak_rss_bytes=200 * 2**20).model_dump_json()
FREE = Budget()


@pytest.fixture
def tried(bundle_dir, tmp_path):
    """Probe a bundle; with a program, that instead of the real process."""

    def tried(budget=FREE, *, program=None, patience=60.0, **model):
        python = sys.executable
        if program is not None:
            python = tmp_path / "python"
            python.write_text(f"#!/bin/sh\n{program}\n")
            python.chmod(0o755)
        return probe(
            bundle_dir,
            ModelConfig(bundle=bundle_dir, **model),
            budget,
            state_dir=tmp_path / "state",
            patience=patience,
            python=str(python),
        )

    return tried


# The real process


def test_a_good_bundle_says_what_it_costs(tried):
    found = tried(Budget(p95_ms=10_000, peak_rss_bytes=2**33))
    assert found.variant == "onnx-fp32"
    assert 0 < found.p95_ms < 10_000
    assert found.peak_rss_bytes > 2**20


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (
            Budget(p95_ms=1e-6),
            r"too slow here: a call of 'onnx-fp32' takes .* ms \(p95\), the release allows 1e-06",
        ),
        (
            Budget(peak_rss_bytes=2**20),
            r"too large here: 'onnx-fp32' takes \d+ MiB of memory, .* allows 1 MiB",
        ),
    ],
)
def test_a_bundle_that_costs_more_than_its_release_allows_is_refused(tried, budget, reason):
    with pytest.raises(UpdateError, match=reason):
        tried(budget)


def hungry_model(numbers: int) -> bytes:
    """Return the network of the fixtures, which besides fills so many numbers of 4 bytes."""
    model = onnx.load_from_string(brightness_model())
    graph = model.graph
    graph.node[-1].output[0] = "plain"
    graph.initializer.append(onnx.numpy_helper.from_array(np.array([numbers], np.int64), "many"))
    graph.node.extend(
        [
            helper.make_node("ConstantOfShape", ["many"], ["filled"]),
            helper.make_node("ReduceMax", ["filled"], ["zero"], keepdims=1),
            helper.make_node("Add", ["plain", "zero"], ["logits"]),
        ]
    )
    return model.SerializeToString()


def test_a_model_that_takes_all_memory_meets_its_limit_first(tried, bundle_dir):
    (bundle_dir / "model.onnx").write_bytes(hungry_model(10**9))
    edit_manifest(
        bundle_dir, lambda values: values["variants"][0].update(files=[entry(bundle_dir, "model.onnx")])
    )
    with pytest.raises(UpdateError, match=r"its probe fails: .*allocate memory"):
        tried(Budget(peak_rss_bytes=200 * 2**20))


def test_wrong_outputs_are_refused(tried, bundle_dir):
    (bundle_dir / "model.onnx").write_bytes(brightness_model(bias=-1.0))
    edit_manifest(
        bundle_dir, lambda values: values["variants"][0].update(files=[entry(bundle_dir, "model.onnx")])
    )
    with pytest.raises(UpdateError, match="does not give its expected outputs here"):
        tried()


def test_a_changed_file_is_refused(tried, bundle_dir):
    (bundle_dir / "model.onnx").write_bytes(b"changed")
    with pytest.raises(UpdateError, match=r"is not the file that manifest.json names"):
        tried()


def test_the_variant_is_chosen_as_the_agent_chooses_it(tried, bundle_dir):
    add_variant(bundle_dir, "other", brightness_model())
    assert tried(variant="other").variant == "other"
    with pytest.raises(UpdateError, match="has no variant 'none'"):
        tried(variant="none")


def test_a_variant_that_does_not_work_here_is_passed_over_as_the_agent_would(tried, bundle_dir):
    add_variant(bundle_dir, "works", brightness_model())
    add_variant(bundle_dir, "wrong", brightness_model(bias=-1.0))
    edit_manifest(bundle_dir, lambda values: values.update(variants=values["variants"][:0:-1]))
    assert tried().variant == "works"


# A process that misbehaves


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("kill -SEGV $$", "its probe crashes: the process died of SIGSEGV"),
        ("kill -KILL $$", "its probe crashes: the process died of SIGKILL"),
        ("echo first >&2; echo last >&2; exit 1", "its probe crashes: the process ended with code 1: last"),
        ("echo why >&2; exit 3", "its probe fails: why"),
        ("echo nonsense", "its probe fails: the process ended without saying what it found"),
        ("exec sleep 60", r"its probe hangs: it was not done within 0.2 s"),
    ],
)
def test_each_way_to_fail_has_its_sentence(tried, program, reason):
    with pytest.raises(UpdateError, match=reason):
        tried(program=program, patience=0.2 if "sleep" in program else 60.0)


@pytest.mark.parametrize("ending", ["exec sleep 60", "exit 1"])
def test_what_it_has_started_ends_with_it(tried, tmp_path, ending):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(UpdateError):
        tried(program=f"sleep 60 > {pipe} & {ending}", patience=0.5)
    os.set_blocking(reader, True)
    assert os.read(reader, 1) == b""  # nobody is left who could write
    os.close(reader)


def test_what_it_prints_does_not_fill_the_memory(tried):
    with pytest.raises(UpdateError, match="its probe crashes: the process ended with code 1: end"):
        tried(program="head -c 1000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo end >&2; exit 1")


def test_a_last_line_without_end_is_cut(tried):
    with pytest.raises(UpdateError) as caught:
        tried(program="head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1")
    assert len(str(caught.value)) < 1000


def test_where_no_process_can_be_started_the_bundle_is_not_to_blame(bundle_dir, tmp_path):
    with pytest.raises(FileNotFoundError):
        probe(
            bundle_dir,
            ModelConfig(bundle=bundle_dir),
            FREE,
            state_dir=tmp_path,
            python=str(tmp_path / "no-python"),
        )


# The verdict


def test_what_is_within_its_budget_passes():
    budget = Budget(p95_ms=10.0, peak_rss_bytes=200 * 2**20)
    assert judge(0, FOUND, "", budget, 1.0).variant == "onnx-fp32"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (None, "not done within 1 s"),
        (-signal.SIGXCPU, "died of SIGXCPU"),
        (-100, "died of signal 100"),
        (2, "ended with code 2: no word"),
        (3, "it said nothing"),
    ],
)
def test_a_code_becomes_a_sentence(code, reason):
    with pytest.raises(UpdateError, match=reason):
        judge(code, FOUND, "", FREE, 1.0)
