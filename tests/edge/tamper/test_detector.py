from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette_edge.config.gate import TamperConfig
from vedette_edge.tamper import TamperDetector
from vedette_edge.types import Frame
from vedette_edge.video import read_frames

SURVEILLANCE = Path(__file__).parents[4] / "shared" / "data" / "surveillance"
CONFIG = TamperConfig(enabled=True, after=5.0, accept_after=60.0)
FPS = 4.0


def scene(seed=0):
    """Return a picture with shapes of all sizes, (H, W) float."""
    rng = np.random.default_rng(seed)
    shapes = cv2.resize(rng.integers(40, 200, (24, 40)).astype(np.float32), (320, 180), interpolation=2)
    return np.clip(shapes + rng.normal(0, 15, shapes.shape), 0, 255)


PICTURES = {
    "usual": scene(),
    "covered": np.full((180, 320), 40.0),
    "moved": scene(1),
    "defocused": cv2.GaussianBlur(scene(), (0, 0), 3),
    "dim": scene() * 0.15,
    "frozen": scene(),
}
NOISE = np.random.default_rng(0).normal(0, 1.5, (7, 180, 320))


def frame(name, time):
    noise = NOISE[0 if name == "frozen" else round(time * FPS) % len(NOISE)]
    grey = np.clip(PICTURES[name] + noise, 0, 255).astype(np.uint8)
    return Frame(np.repeat(grey[..., np.newaxis], 3, axis=2), time)


def stream(*parts, start=0.0):
    frames = []
    for seconds, name in parts:
        for _ in range(round(seconds * FPS)):
            frames.append(frame(name, start + len(frames) / FPS))
    return frames


def told(detector, frames):
    found = [change for one in frames for change in detector.push(one)]
    return [(change.kind, change.began, change.since, change.time) for change in found]


@pytest.mark.parametrize("kind", ["covered", "moved", "defocused"])
def test_what_lasts_is_told_with_its_beginning_and_its_end(kind):
    frames = stream((30, "usual"), (10, kind), (20, "usual"))
    assert told(TamperDetector(CONFIG), frames) == [(kind, True, 30.0, 35.0), (kind, False, 30.0, 40.0)]


def test_a_frozen_picture_is_told():
    frames = stream((30, "usual"), (10, "frozen"), (20, "usual"))
    # The first of the same pictures is as good as any.
    assert told(TamperDetector(CONFIG), frames) == [
        ("frozen", True, 30.5, 35.5),
        ("frozen", False, 30.5, 40.0),
    ]


@pytest.mark.parametrize("kind", ["covered", "moved", "defocused", "frozen"])
def test_what_passes_is_not_told(kind):
    frames = stream((30, "usual"), *[(4, kind), (1, "usual")] * 6)
    assert told(TamperDetector(CONFIG), frames) == []


def test_lights_that_go_off_and_on_are_no_tampering():
    frames = stream((30, "usual"), (20, "dim"), (20, "usual"), (20, "dim"))
    assert told(TamperDetector(CONFIG), frames) == []


def test_a_short_return_does_not_end_it():
    frames = stream((30, "usual"), (10, "covered"), (3, "usual"), (10, "covered"))
    assert told(TamperDetector(CONFIG), frames) == [("covered", True, 30.0, 35.0)]


def test_a_hand_before_the_lens_that_looks_now_like_this_now_like_that_is_told_once():
    frames = stream((30, "usual"), *[(1, "covered"), (0.5, "moved")] * 8)
    assert told(TamperDetector(CONFIG), frames) == [("covered", True, 30.0, 35.0)]


def test_a_new_view_is_accepted_after_a_while_and_then_guarded():
    frames = stream((30, "usual"), (90, "moved"), (10, "usual"))
    assert told(TamperDetector(CONFIG), frames) == [
        ("moved", True, 30.0, 35.0),
        ("moved", False, 30.0, 90.5),
        ("moved", True, 120.0, 125.0),
    ]


def test_a_covered_camera_is_never_accepted():
    frames = stream((30, "usual"), (90, "covered"))
    assert told(TamperDetector(CONFIG), frames) == [("covered", True, 30.0, 35.0)]


def test_a_camera_that_was_turned_while_its_stream_was_away_is_told():
    detector = TamperDetector(CONFIG)
    assert told(detector, stream((30, "usual"))) == []
    assert told(detector, stream((10, "moved"), start=0.0)) == [("moved", True, 0.0, 5.0)]
    assert told(detector, stream((10, "moved"), start=500.0)) == [
        ("moved", False, 0.0, 9.75),
        ("moved", True, 500.0, 505.0),
    ]


def test_the_end_of_a_stream_ends_what_is_active():
    detector = TamperDetector(CONFIG)
    told(detector, stream((30, "usual"), (10, "covered")))
    assert [(one.kind, one.began, one.time) for one in detector.finish()] == [("covered", False, 39.75)]
    assert detector.finish() == []


def test_a_view_without_texture_is_not_guarded_until_there_is_light():
    frames = stream((30, "covered"), (30, "usual"), (10, "moved"))
    assert told(TamperDetector(CONFIG), frames) == [("moved", True, 60.0, 65.0)]


def test_a_stream_that_ends_at_once_and_begins_again_is_no_trouble():
    detector = TamperDetector(CONFIG)
    for _ in range(3):
        assert told(detector, stream((0.25, "usual"))) == []
        assert detector.finish() == []


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.floats(-1.0, 3.0), st.sampled_from(sorted(PICTURES))), max_size=60),
    st.floats(0.1, 5.0),
)
def test_whatever_comes_each_kind_begins_and_ends_in_turn(steps, after):
    detector = TamperDetector(TamperConfig(after=after, accept_after=20.0))
    found = [change for one in stream((12, "usual"), start=-12.0) for change in detector.push(one)]
    time = 0.0
    for step, name in steps:
        time += step
        found += detector.push(frame(name, time))
    found += detector.finish()
    for kind in ("covered", "moved", "defocused", "frozen"):
        began = [change.began for change in found if change.kind == kind]
        assert began == [True, False] * (len(began) // 2)
    assert all(change.since <= change.time for change in found)


@pytest.mark.realdata
@pytest.mark.skipif(not SURVEILLANCE.is_dir(), reason="the shared footage is not here")
@pytest.mark.parametrize("name", ["bgs_traffic_video02.avi", "vehicle_survaillance.mp4"])
def test_a_real_street_is_no_tampering_until_it_is_covered(name):
    """`tests/bench/tamper.py` tries more, on all videos."""
    detector, frames = TamperDetector(CONFIG), list(read_frames(SURVEILLANCE / name))
    assert told(detector, frames) == []
    last = frames[-1].time
    covered = [Frame(np.full_like(frames[0].image, number % 3), last + number / 4) for number in range(1, 40)]
    assert [change[:2] for change in told(detector, covered)] == [("covered", True)]
