from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest
from edge_helpers import brightness_model

from vedette_edge.machine import cores
from vedette_edge.manifest import Measured
from vedette_edge.measure import REFUSED, main, measure
from vedette_edge.runtimes import onnx as onnx_runtime
from vedette_edge.runtimes.onnx import OnnxSession
from vedette_edge.types import Outputs


class Sleeper:
    """A session whose runs last as long as they are told, in milliseconds, and then no time."""

    def __init__(self, *durations):
        self._durations = list(durations)
        self.seen = []

    def run(self, clips):
        self.seen.append(float(clips.flat[0]))
        time.sleep((self._durations.pop(0) if self._durations else 0) / 1000)


class Counter:
    """A model that follows streams, and notes the frames it is given."""

    def __init__(self):
        self.seen = []

    def open_stream(self):
        return self

    def push(self, frames):
        assert frames.shape == (1, 3, 1, 2, 2)
        self.seen.append(float(frames.flat[0]))
        return Outputs(np.zeros((1, 2), np.float32), np.zeros((1, 2, 1, 1, 1), np.float32))

    def reset(self):
        raise AssertionError


def clip(*values):
    frames = np.array(values, np.float32).reshape(1, 1, -1, 1, 1)
    return np.broadcast_to(frames, (1, 3, len(values), 2, 2)).copy()


def test_the_warm_up_is_not_counted():
    session = Sleeper(60, 60, 60, *[4] * 18, 20, 20)
    found = measure(session, [clip(0)], seconds=0)
    assert 4 <= found.p50_ms < 20
    assert found.p50_ms < found.p95_ms < 60
    assert 1000 / 20 < found.per_second < 1000 / 4
    assert len(session.seen) == 23


def test_clips_take_turns():
    session = Sleeper()
    measure(session, [clip(1), clip(2)], seconds=0)
    assert session.seen[:4] == [1, 2, 1, 2]


def test_a_stream_is_measured_by_the_frame_and_its_clips_follow_each_other():
    streaming = Counter()
    measure(streaming, [clip(1, 2), clip(3, 4)], seconds=0)
    assert streaming.seen[:6] == [1, 2, 3, 4, 1, 2]


def test_it_goes_on_for_the_time_it_is_given():
    session = Sleeper(*[1] * 1000)
    began = time.perf_counter()
    measure(session, [clip(0)], seconds=0.2)
    assert time.perf_counter() - began >= 0.2
    assert len(session.seen) > 23


@pytest.mark.parametrize(("threads", "told"), [(0, cores()), (3, 3)])
def test_threads_are_those_of_the_session(threads, told):
    found = measure(Sleeper(), [clip(0)], threads=threads, seconds=0)
    assert found.threads == told
    assert found.peak_rss_bytes > 10_000_000
    assert found.machine.rstrip("s").endswith(f"{cores()} core")


def test_a_variant_that_cannot_be_used_is_told_by_code_and_reason(tmp_path, capsys):
    assert main([str(tmp_path), "onnx-fp32", "1", "0"]) == REFUSED
    assert "is not a bundle" in capsys.readouterr().err


def test_the_memory_is_that_of_the_process_alone_however_large_its_parent_was(shared_bundle):
    script = """
import subprocess, sys
large = b"x" * 400_000_000
command = [sys.executable, "-m", "vedette_edge.measure", *sys.argv[1:]]
print(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
"""
    arguments = [str(shared_bundle), "onnx-fp32", "1", "0"]
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
    )
    assert 20_000_000 < Measured.model_validate_json(done.stdout).peak_rss_bytes < 300_000_000


@pytest.mark.parametrize("bias", [-2.0, -1.0], ids=["that works", "that computes something else"])
def test_what_the_agent_would_run_on_is_measured(shared_bundle, monkeypatch, capsys, bias):
    opened = []

    def clip_session(files, _variant, threads, providers):
        opened.append(providers)
        return OnnxSession(files[0] if providers == ("cpu",) else brightness_model(bias), threads)

    monkeypatch.setattr(onnx_runtime, "clip_session", clip_session)
    monkeypatch.setattr(onnx_runtime, "providers", lambda: ("cuda", "cpu"))
    assert main([str(shared_bundle), "onnx-fp32", "1", "0"]) == 0
    assert Measured.model_validate_json(capsys.readouterr().out).threads == 1
    assert opened == [("cuda", "cpu"), ("cpu",)][: 1 if bias == -2.0 else 2]
