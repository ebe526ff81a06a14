from __future__ import annotations

import os
import shutil
import threading

import numpy as np
import pytest
from edge_helpers import FPS, FRAMES, add_variant, brightness_model, edit_manifest, entry, wait_until
from judge_helpers import shades

from vedette_edge.config import ModelConfig
from vedette_edge.engine import open_model
from vedette_edge.errors import BundleError, RuntimeBackendError
from vedette_edge.ota.evidence import ShadowFigures
from vedette_edge.ota.shadow import Shadow

FRAMES_OF = shades(np.arange(6 * FRAMES) / FPS)
VERDICTS = 11


@pytest.fixture
def old(shared_bundle):
    return open_model(ModelConfig(bundle=shared_bundle))


@pytest.fixture
def begun():
    """Begins shadows; they end with the test."""
    shadows = []

    def begin(load, on_end=lambda: None):
        shadows.append(Shadow("fights", load, lambda _, decision: decision, on_end))
        return shadows[-1]

    yield begin
    for shadow in shadows:
        shadow.close()


def blind(bundle, directory):
    """Return a bundle whose model sees light nowhere."""
    shutil.copytree(bundle, directory)
    add_variant(directory, "blind", brightness_model(bias=-30.0))
    edit_manifest(directory, lambda values: values.update(variants=values["variants"][1:]))
    shift = np.array([28.0, -28.0], np.float32)
    for name, shape in (("logits", (1, 2)), ("heatmap", (1, 2, 1, 1, 1))):
        path = directory / f"golden_{name}.npy"
        np.save(path, np.load(path) + shift.reshape(shape))

    def renewed(values):
        for name in ("logits", "heatmap"):
            values["golden"][name] = entry(directory, f"golden_{name}.npy")

    edit_manifest(directory, renewed)
    return directory


def show_all(shadow, old, camera="door", frames=FRAMES_OF):
    """Show frames as fast as the shadow takes them, with the verdicts of the model that alarms."""
    judge = old.judge(old.manifest.decision)
    for frame in frames:
        verdicts, _ = judge.push(frame)
        before = shadow.dropped
        shadow.show(camera, frame, verdicts, old.manifest)
        assert shadow.dropped == before
        wait_until(lambda: shadow._queue.qsize() < 8, what="the shadow's progress")


def loaded(shadow):
    wait_until(lambda: shadow._model is not None or shadow.failed, what="the candidate")
    assert not shadow.failed


def test_two_of_the_same_agree_on_every_verdict(begun, old, shared_bundle):
    loaded(shadow := begun(lambda: open_model(ModelConfig(bundle=shared_bundle))))
    show_all(shadow, old)
    wait_until(lambda: shadow.figures.compared == VERDICTS, what="all verdicts")
    figures = shadow.figures
    assert (figures.agreed, figures.score_difference) == (VERDICTS, 0.0)
    assert figures.p95_ms > 0
    assert (shadow.verdicts, shadow.failed) == (VERDICTS, "")


def test_one_that_sees_nothing_differs_in_label_and_score(begun, old, shared_bundle, tmp_path):
    other = blind(shared_bundle, tmp_path / "blind")
    loaded(shadow := begun(lambda: open_model(ModelConfig(bundle=other))))
    show_all(shadow, old)
    wait_until(lambda: shadow.figures.compared == VERDICTS, what="all verdicts")
    assert shadow.figures.agreed == 0
    assert shadow.figures.score_difference > 0.5


def test_each_camera_is_judged_for_itself(begun, old, shared_bundle):
    loaded(shadow := begun(lambda: open_model(ModelConfig(bundle=shared_bundle))))
    for camera in ("door", "gate"):
        show_all(shadow, old, camera)
    wait_until(lambda: shadow.figures.agreed == 2 * VERDICTS, what="the verdicts of both")


def test_the_end_of_a_stream_is_its_end_for_the_candidate_too(begun, old, shared_bundle):
    loaded(shadow := begun(lambda: open_model(ModelConfig(bundle=shared_bundle))))
    judge = old.judge(old.manifest.decision)
    for frame in FRAMES_OF[:2]:
        shadow.show("door", frame, judge.push(frame)[0], old.manifest)
    shadow.show("door", None, judge.finish(), old.manifest)
    wait_until(lambda: shadow.figures.compared == 1, what="the verdict of a short stream")


class SlowModel:
    """A model that judges when it is let, and as another does."""

    def __init__(self, model, before=lambda: None):
        self._model = model
        self._before = before

    def __getattr__(self, name):
        return getattr(self._model, name)

    def judge(self, decision):
        judge, before = self._model.judge(decision), self._before

        class Slow:
            def push(self, frame):
                before()
                return judge.push(frame)

            def finish(self):
                return judge.finish()

        return Slow()


def test_one_that_is_behind_never_lets_a_camera_wait_and_is_compared_on_whole_stretches(begun, old):
    let = threading.Semaphore(0)
    other = SlowModel(old, let.acquire)
    loaded(shadow := begun(lambda: other))
    judge = old.judge(old.manifest.decision)
    frames = shades(np.arange(200) / FPS)
    for index, frame in enumerate(frames):
        # Every now and then the candidate gets on by a few frames.
        if index % 20 == 19:
            let.release(5)
        shadow.show("door", frame, judge.push(frame)[0], old.manifest)
    let.release(len(frames))
    wait_until(lambda: shadow._queue.qsize() == 0, what="the end of the queue")
    assert shadow.dropped > 50
    shadow.close()
    assert shadow.figures.compared > 0
    assert shadow.figures.agreed == shadow.figures.compared
    assert shadow.figures.score_difference < 1e-6


def test_one_that_rests_is_shown_nothing(begun, old, shared_bundle):
    loaded(shadow := begun(lambda: open_model(ModelConfig(bundle=shared_bundle))))
    shadow.held = True
    for frame in FRAMES_OF:
        shadow.show("door", frame, [], old.manifest)
    assert (shadow.dropped, shadow.figures) == (len(FRAMES_OF), ShadowFigures())


@pytest.mark.parametrize(
    ("error", "told"),
    [(BundleError("no variant works"), "no variant works"), (KeyError("x"), "KeyError('x')")],
)
def test_one_that_cannot_be_loaded_only_says_so(begun, old, error, told):
    def load():
        raise error

    ended = threading.Event()
    shadow = begun(load, ended.set)
    assert ended.wait(5)
    assert shadow.failed == told
    shadow.show("door", FRAMES_OF[0], [], old.manifest)
    assert (shadow.figures, shadow.seconds, shadow.verdicts) == (ShadowFigures(), 0.0, 0)


def test_one_that_fails_as_it_judges_only_says_so(begun, old):
    def fail():
        raise RuntimeBackendError("out of memory")

    loaded(shadow := begun(lambda: SlowModel(old, fail)))
    shadow.show("door", FRAMES_OF[0], [], old.manifest)
    wait_until(lambda: shadow.failed, what="the failure")
    assert shadow.failed == "out of memory"


def test_it_runs_at_the_lowest_priority(begun, old):
    asked = []

    def load():
        asked.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return old

    loaded(begun(load))
    assert asked == [19]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) != 19
