from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import judge_helpers
import numpy as np
import pytest
from edge_helpers import FPS, FRAMES, add_variant, brightness_model, picture
from judge_helpers import Trouble, shades, write_model_config, write_picture_bundle

from vedette_edge.benchmark import Benchmark, keep
from vedette_edge.bundle import open_bundle
from vedette_edge.config import ModelConfig, load_config
from vedette_edge.engine import Model, load, loader, open_model
from vedette_edge.engine.batching import gains
from vedette_edge.engine.ledger import Ledger
from vedette_edge.errors import ConfigError, RuntimeBackendError, VedetteError
from vedette_edge.judges import PictureJudge
from vedette_edge.machine import this_machine
from vedette_edge.manifest import Measured
from vedette_edge.types import Frame


def test_an_engine_is_a_mapping_of_its_models(engine_of, three):
    engine = engine_of(three)
    assert list(engine) == ["main"]
    assert len(engine) == 1
    assert isinstance(engine["main"], Model)


@pytest.mark.parametrize(
    ("settings", "chosen"),
    [
        ({}, "live"),
        ({"mode": "clip"}, "onnx-fp32"),
        ({"variant": "twin"}, "twin"),
        ({"variant": "live", "mode": "stream"}, "live"),
    ],
)
def test_the_variant_is_that_of_the_configuration_and_streams_come_first(engine_of, three, settings, chosen):
    assert engine_of(three, **settings)["main"].variant.name == chosen


@pytest.fixture
def measured(three, tmp_path):
    """Keeps what the variants cost a call, in milliseconds; a clip is judged each second frame."""

    def keep_costs(**costs):
        found = {
            name: Measured(machine="m", threads=1, p50_ms=cost, p95_ms=cost, peak_rss_bytes=1)
            for name, cost in costs.items()
        }
        digest, directory = open_bundle(three).digest, tmp_path / "state" / "benchmarks"
        keep(Benchmark(bundle=digest, machine=this_machine(1), measured=found, refused={}), directory)

    return keep_costs


def test_where_clips_are_measured_cheaper_a_frame_they_come_first(engine_of, three, measured):
    measured(**{"live": 1.0, "twin": 1.9, "onnx-fp32": 2.1})
    assert engine_of(three)["main"].variant.name == "twin"


def test_to_spare_the_device_the_cheapest_variant_runs_until_it_need_not_be(engine_of, three, measured):
    changes = []
    measured(**{"live": 1.0, "twin": 9.0, "onnx-fp32": 8.0})
    engine = engine_of(three, variant="twin", on_change=lambda *what: changes.append(what))
    model, frames = engine["main"], shades(np.arange(6 * FRAMES) / FPS)
    judge, names, pushes = model.judge(model.manifest.decision), [], []
    for number, frame in enumerate(frames):
        if number in (FRAMES, FRAMES + 1, 4 * FRAMES, 4 * FRAMES + 1):
            model.spare(on=number < 2 * FRAMES)
        pushes.append(judge.push(frame))
        names.append(model.variant.name)
    assert names == ["twin"] * FRAMES + ["live"] * 3 * FRAMES + ["twin"] * 2 * FRAMES
    assert changes == [
        ("main", "live", "to spare the device"),
        ("main", "twin", "the device is spared no more"),
    ]
    assert [anew for _, anew in pushes] == [True] + [False] * (len(frames) - 1)
    ends = [round(verdict.end * FPS) for verdicts, _ in pushes for verdict in verdicts]
    # Clips notice with the next one, a stream with the next frame; then a clip's length goes by.
    assert ends == [3, 8, 10, 12, 14, 19, 21, 23]


@pytest.mark.parametrize("costs", [{}, {"twin": 1.0}, {"live": 1.0}, {"live": 9.0, "twin": 1.0}])
def test_where_nothing_was_measured_to_cost_less_the_device_cannot_be_spared(
    engine_of, three, measured, costs
):
    measured(**costs)
    engine = engine_of(three, variant="twin", on_change=lambda *_: pytest.fail("changed"))
    engine["main"].spare(on=True)
    engine["main"].spare(on=False)
    assert engine["main"].variant.name == "twin"


def test_what_cannot_be_loaded_spares_nothing_and_what_runs_goes_on(engine_of, three, measured, caplog):
    measured(live=1.0, twin=9.0)
    engine = engine_of(three, variant="twin")
    (three / "live.onnx").write_bytes(b"other")
    engine["main"].spare(on=True)
    assert engine["main"].variant.name == "twin"
    assert "model 'main' keeps its variant: " in caplog.text
    assert engine.ledger.ledger.runs["main"].candidate.endswith("/twin")
    assert engine.ledger.ledger.runs["main"].phase == "running"
    assert len(judged_by_all(engine)[0]) == 7


def test_a_command_opens_a_model_alone_and_leaves_nothing_behind(three, tmp_path):
    model = open_model(ModelConfig(bundle=three, mode="clip"), tmp_path / "state")
    assert (model.name, model.variant.name) == ("brightness", "onnx-fp32")
    assert not (tmp_path / "state").exists()


def test_a_trigger_is_for_models_of_single_pictures(engine_of, three):
    with pytest.raises(ConfigError, match=r"models\.main\.trigger: only a model of task anomaly"):
        engine_of(three, trigger={"every": 1.0})


def test_an_engine_that_takes_the_place_of_another_goes_on_with_its_ledger(three, tmp_path, caplog):
    config = load_config(write_model_config(tmp_path / "c.yaml", three, mode="clip"))
    with load.load_models(config) as before:
        other = load_config(write_model_config(tmp_path / "d.yaml", three, mode="stream"))
        after = load.load_models(other, ledger=before.ledger)
        assert after.ledger.ledger.runs["main"].candidate.endswith("/live")
        (three / "model.onnx").write_bytes(b"other")
        with pytest.raises(VedetteError):
            load.load_models(config, ledger=before.ledger)
        # One that is refused leaves the ledger of those that run open.
        after.ledger.mark("main", True)
    assert (tmp_path / "state" / "engine" / "inferring").read_bytes() == b"\x01"
    assert "ledger" not in caplog.text


def test_models_that_are_kept_are_not_loaded_again_and_one_that_fails_leaves_the_ledger_as_it_was(
    three, tmp_path
):
    config = load_config(write_model_config(tmp_path / "c.yaml", three, mode="clip"))
    with load.load_models(config) as before:
        runs = before.ledger.ledger.runs
        after = load.load_models(config, ledger=before.ledger, kept=before)
        assert after["main"] is before["main"]
        (three / "model.onnx").write_bytes(b"other")
        with pytest.raises(VedetteError) as caught:
            load.load_models(config, ledger=before.ledger, updates=["main"])
        assert caught.value.model == "main"
        assert before.ledger.ledger.runs == runs


def test_an_update_beside_the_engine_is_in_its_ledger_until_it_is_forgotten(three, tmp_path):
    config = load_config(write_model_config(tmp_path / "c.yaml", three, mode="clip"))
    with load.load_models(config) as engine:
        section = config.every_model["main"]
        model = load.load_beside("main (shadow)", section, config.state_dir, engine.ledger)
        assert model.variant.name == "onnx-fp32"
        assert {name: run.update for name, run in engine.ledger.ledger.runs.items()} == {
            "main": False,
            "main (shadow)": True,
        }
        engine.ledger.forget("main (shadow)")
        assert list(engine.ledger.ledger.runs) == ["main"]


def test_a_model_that_cannot_be_loaded_leaves_an_orderly_ledger(engine_of, bundle_dir, tmp_path):
    (bundle_dir / "model.onnx").write_bytes(b"other")
    with pytest.raises(VedetteError):
        engine_of(bundle_dir)
    assert '"runs": {}' in (tmp_path / "state" / "engine" / "ledger.json").read_text()


CAMERAS = ("door", "gate", "yard", "hall")


def judged_by_all(engine):
    """Return what each camera was told, all of them at once."""
    frames, together = shades(np.arange(4 * FRAMES) / FPS), threading.Barrier(len(CAMERAS))

    def camera(_):
        judge = engine["main"].judge(engine["main"].manifest.decision)
        together.wait(10)
        return [verdict.probabilities for frame in frames for verdict in judge.push(frame)[0]]

    with ThreadPoolExecutor(len(CAMERAS)) as pool:
        return list(pool.map(camera, range(len(CAMERAS))))


@pytest.mark.parametrize("gain", [True, False, None], ids=["gain", "no gain", "as measured"])
def test_clips_of_several_cameras_share_calls_where_that_gains(
    engine_of, bundle_dir, monkeypatch, caplog, gain
):
    caplog.set_level(logging.INFO, "vedette_edge")
    asked = []

    def measured(session, clip, count):
        asked.append(count)
        return gains(session, clip, count) if gain is None else gain

    monkeypatch.setattr(loader, "gains", measured)
    monkeypatch.setattr(loader, "cores", lambda: 1)
    add_variant(bundle_dir, "free", brightness_model(batch="N"))
    engine = engine_of(bundle_dir, CAMERAS, variant="free")
    found = judged_by_all(engine)
    assert asked == [4]
    shared = "up to 4 clips are judged in a call" in caplog.text
    assert gain in (None, shared)
    for scores in found:
        np.testing.assert_allclose(scores, found[0], atol=1e-5)
    calls = engine["main"].session.durations.percentiles().count
    assert calls <= 28 if shared else calls == 28


@pytest.mark.parametrize("cameras", [CAMERAS[:1], CAMERAS])
def test_nothing_is_measured_where_nothing_could_be_batched(engine_of, bundle_dir, monkeypatch, cameras):
    monkeypatch.setattr(loader, "gains", lambda *_: pytest.fail("measured"))
    monkeypatch.setattr(loader, "cores", lambda: 1)
    add_variant(bundle_dir, "free", brightness_model(batch="N"))
    # One camera has no company, and onnx-fp32 takes one clip at a time.
    engine_of(bundle_dir, cameras, variant="free" if len(cameras) == 1 else "onnx-fp32")


def test_a_model_that_cannot_take_two_clips_after_all_takes_one_at_a_time(
    engine_of, bundle_dir, monkeypatch, caplog
):
    def fail(*_):
        raise RuntimeBackendError("no memory")

    monkeypatch.setattr(loader, "gains", fail)
    monkeypatch.setattr(loader, "cores", lambda: 1)
    add_variant(bundle_dir, "free", brightness_model(batch="N"))
    judged_by_all(engine_of(bundle_dir, CAMERAS, variant="free"))
    assert "clips are judged one at a time: no memory" in caplog.text


def test_streams_of_several_cameras_share_one_model(engine_of, three):
    found = judged_by_all(engine_of(three, CAMERAS, mode="stream"))
    for scores in found:
        np.testing.assert_allclose(scores, found[0], atol=1e-5)


@pytest.mark.parametrize(
    ("trigger", "wanted"), [(None, [0.0, 0.125, 0.25, 0.375]), ({"every": 0.25}, [0.0, 0.25]), ({}, [])]
)
def test_an_anomaly_model_judges_single_pictures_as_the_trigger_says(engine_of, tmp_path, trigger, wanted):
    bundle = write_picture_bundle(tmp_path / "pictures")
    engine = engine_of(bundle, trigger=trigger)
    judge = engine["main"].judge(engine["main"].manifest.decision)
    assert isinstance(judge, PictureJudge)
    frames = [Frame(picture(light=True), index / FPS) for index in range(4)]
    found = [verdict for frame in frames for verdict in judge.push(frame)[0]]
    assert [verdict.middle for verdict in found] == wanted
    # A quarter of the picture is white: 20 * 0.25 - 2 is the score.
    assert all(verdict.probabilities == pytest.approx([1 / (1 + np.exp(-3.0))]) for verdict in found)


# Hanging and crashing


def test_an_inference_that_hangs_is_told_with_its_model_and_left_in_the_ledger(
    engine_of, three, monkeypatch, tmp_path
):
    inside, release = threading.Event(), threading.Event()

    def hang(number):
        if number > 2:
            inside.set()
            release.wait(30)

    Trouble({"onnx-fp32": hang}).install(monkeypatch)
    engine = engine_of(three, mode="clip")
    judge = engine["main"].judge(engine["main"].manifest.decision)
    frames = shades(np.arange(FRAMES) / FPS)
    thread = threading.Thread(target=lambda: [judge.push(frame) for frame in frames])
    thread.start()
    try:
        assert inside.wait(10)
        now = time.monotonic()
        assert engine.stuck(now) is None
        name, why = engine.stuck(now + 11)
        assert name == "main"
        assert why.startswith("model 'main', variant 'onnx-fp32': an inference hung for 1")
        # One that is slow as a rule may take 20 times as long as it does.
        engine["main"].session.durations.add(1.0)
        assert engine.stuck(now + 15) is None
        assert engine.stuck(now + 21)
    finally:
        release.set()
        thread.join(10)
    ledger = Ledger.model_validate_json((tmp_path / "state" / "engine" / "ledger.json").read_bytes())
    assert ledger.runs["main"].note == "an inference hung for 21 s"


CHILD = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import numpy as np
import pytest
from judge_helpers import Trouble, shades
from vedette_edge.config import ModelConfig, load_config
from vedette_edge.engine import load_models

def crash(number):
    if number > int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGSEGV)

with pytest.MonkeyPatch.context() as patch:
    Trouble({"onnx-fp32": crash}).install(patch)
    with load_models(load_config(Path(sys.argv[2]))) as engine:
        judge = engine["main"].judge(engine["main"].manifest.decision)
        found = [judge.push(frame) for frame in shades(np.arange(8) / 8)]
        print(engine["main"].variant.name, sum(len(verdicts) for verdicts, _ in found))
"""


@pytest.mark.parametrize("calls", [0, 2], ids=["as it is loaded", "in an inference"])
def test_a_variant_that_crashes_its_process_twice_makes_room_for_the_next(three, tmp_path, calls):
    config = write_model_config(tmp_path / "c.yaml", three, mode="clip")

    def process():
        helpers = Path(judge_helpers.__file__).parent
        return subprocess.run(
            [sys.executable, "-c", CHILD, helpers, config, str(calls)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert [process().returncode for _ in range(2)] == [-signal.SIGSEGV] * 2
    done = process()
    assert (done.returncode, done.stdout) == (0, "twin 3\n"), done.stderr
    assert "variant 'onnx-fp32' is passed over for a day" in done.stderr
    # And stays passed over, though all went well since.
    assert process().stdout == "twin 3\n"
