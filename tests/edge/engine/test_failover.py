"""What happens to the cameras when what a model runs on fails in inference."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from edge_helpers import FPS, FRAMES
from judge_helpers import Trouble, add_stream, failing, shades

from vedette_edge.errors import BundleError, RuntimeBackendError

GOLDEN_CLIPS = (
    2  # calls of a clip variant before it is trusted; a stream has as many, of a clip's frames each
)
FRAMES_OF = shades(np.arange(4 * FRAMES) / FPS)


@pytest.fixture
def trouble(monkeypatch):
    def begin(**plan):
        runtime = Trouble(plan)
        runtime.install(monkeypatch)
        return runtime

    return begin


def judged(model, frames=FRAMES_OF):
    """Return the verdicts of frames, and how often the stream began anew."""
    judge = model.judge(model.manifest.decision)
    pushes = [judge.push(frame) for frame in frames]
    return [verdict for verdicts, _ in pushes for verdict in verdicts], sum(anew for _, anew in pushes)


def assert_same(found, wanted):
    assert [verdict.end for verdict in found] == [verdict.end for verdict in wanted]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)


@pytest.fixture
def wanted(engine_of, three):
    """The verdicts where nothing fails."""
    engine = engine_of(three, mode="clip")
    verdicts, anew = judged(engine["main"])
    engine.close()
    assert (len(verdicts), anew) == (7, 1)
    return verdicts


@pytest.mark.parametrize(("mode", "name"), [("clip", "onnx-fp32"), ("stream", "live")])
def test_a_call_that_fails_once_is_tried_again_and_nobody_notices(
    trouble, engine_of, three, wanted, mode, name
):
    changes = []
    trouble(**{name: failing(GOLDEN_CLIPS + 1, GOLDEN_CLIPS + 6)})
    engine = engine_of(three, mode=mode, on_change=lambda *what: changes.append(what))
    found, anew = judged(engine["main"])
    assert_same(found, wanted)
    assert (anew, changes, engine["main"].variant.name) == (1, [], name)


def test_a_clip_that_fails_twice_is_judged_by_the_next_variant(trouble, engine_of, three, wanted):
    changes = []
    trouble(**{"onnx-fp32": failing(after=GOLDEN_CLIPS + 3)})
    engine = engine_of(three, mode="clip", on_change=lambda *what: changes.append(what))
    assert engine["main"].describe()["variant"] == "onnx-fp32"
    found, anew = judged(engine["main"])
    assert_same(found, wanted)
    assert anew == 1
    assert engine["main"].describe() == {
        "name": "main",
        "model": "brightness",
        "variant": "twin",
        "runtime": "onnx",
        "precision": "fp32",
        "mode": "clip",
        "provider": "cpu",
        "digest": engine["main"].bundle.digest,
    }
    ((model, variant, why),) = changes
    assert (model, variant) == ("main", "twin")
    assert why == "'onnx-fp32' failed twice: call 7 failed"


@pytest.mark.parametrize("stumbles", [(), (GOLDEN_CLIPS + 2,)], ids=["at once", "at the second attempt"])
def test_a_stream_goes_on_in_another_runtime_with_what_it_saw(trouble, engine_of, three, wanted, stumbles):
    add_stream(three, "spare")
    trouble(live=failing(after=GOLDEN_CLIPS + 6), spare=failing(*stumbles))
    engine = engine_of(three, mode="stream")
    found, anew = judged(engine["main"])
    assert_same(found, wanted)
    assert (anew, engine["main"].variant.name) == (1, "spare")


def test_where_only_the_other_mode_is_left_a_clips_length_is_lost_and_no_event_ends(
    trouble, engine_of, three
):
    trouble(live=failing(after=GOLDEN_CLIPS + 6))
    engine = engine_of(three)
    assert engine["main"].variant.mode == "stream"
    judge = engine["main"].judge(engine["main"].manifest.decision)
    judge.set_hop_factor(1)
    pushes = [judge.push(frame) for frame in FRAMES_OF]
    assert engine["main"].variant.name == "onnx-fp32"
    assert [anew for _, anew in pushes] == [True] + [False] * (len(FRAMES_OF) - 1)
    # Six frames were judged; the clips begin anew with the seventh.
    ends = [round(verdict.end * FPS) for verdicts, _ in pushes for verdict in verdicts]
    assert ends == [3, 5, 9, 11, 13, 15]


def test_an_end_in_the_moment_of_a_change_of_mode_says_nothing(trouble, engine_of, three):
    trouble(live=failing(after=GOLDEN_CLIPS + 2))
    engine = engine_of(three)
    judge = engine["main"].judge(engine["main"].manifest.decision)
    for frame in FRAMES_OF[:2]:
        judge.push(frame)
    assert judge.finish() == []
    assert engine["main"].variant.mode == "clip"


def test_cameras_that_fail_together_change_once(trouble, engine_of, three, wanted):
    changes, together = [], threading.Barrier(3)

    def meet(number):
        if number > GOLDEN_CLIPS:
            raise RuntimeBackendError("gone")

    trouble(**{"onnx-fp32": meet})
    engine = engine_of(three, mode="clip", on_change=lambda *what: changes.append(what))

    def camera(_):
        together.wait(10)
        return judged(engine["main"])

    with ThreadPoolExecutor(3) as pool:
        for found, anew in pool.map(camera, range(3)):
            assert_same(found, wanted)
            assert anew == 1
    assert [variant for _, variant, _ in changes] == ["twin"]


def test_where_none_is_left_the_camera_is_told_why(trouble, engine_of, three):
    trouble(**{"onnx-fp32": failing(after=GOLDEN_CLIPS), "twin": failing(after=GOLDEN_CLIPS)})
    engine = engine_of(three, mode="clip")
    with pytest.raises(BundleError, match="no variant works here: none is left to try"):
        judged(engine["main"])


def test_one_that_cannot_be_trusted_when_its_turn_comes_is_passed_over(trouble, engine_of, three, caplog):
    trouble(**{"onnx-fp32": failing(after=GOLDEN_CLIPS), "live": failing(after=0)})
    engine = engine_of(three, mode="auto", variant="auto")
    assert engine["main"].variant.name == "onnx-fp32"
    assert "passed over, as it does not work here: live: call 1 failed" in caplog.text
    judged(engine["main"])
    assert engine["main"].variant.name == "twin"
