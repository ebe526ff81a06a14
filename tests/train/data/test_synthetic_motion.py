"""Bodies and motions: a figure keeps its limbs, its feet on the floor and its place in the frame."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette_train.data.synthetic import LABELS
from vedette_train.data.synthetic.exercises import DROP, HALF_WIDTH, REACH, random_motion
from vedette_train.data.synthetic.person import random_person
from vedette_train.data.synthetic.play import BLEND_SECONDS, random_play
from vedette_train.data.synthetic.render import View, figure_parts, outline_box
from vedette_train.data.synthetic.skeleton import JOINT, Body, blend, joints, pose

seeds = st.integers(0, 2**32 - 1)
labels = st.sampled_from(LABELS)
times = st.floats(0, 600, allow_nan=False)


def skeleton(label: str, seed: int, t: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    body = random_person(rng, (128, 128, 128)).body
    return joints(body, random_motion(label, rng, body)(t))


def test_an_upright_figure_is_about_one_body_height_tall() -> None:
    person = random_person(np.random.default_rng(3), (0, 0, 0))
    parts = figure_parts(person, joints(person.body, pose({})), View(0, 0, 1))
    _, top, _, bottom = outline_box(parts)
    assert bottom - top == pytest.approx(1.0, abs=0.06)


def test_a_raised_arm_points_up() -> None:
    points = joints(Body(), pose({"l_upper_arm": (0, 180), "l_forearm": (0, 180)}))
    assert points[JOINT["l_hand"], 2] > points[JOINT["head"], 2] > points[JOINT["r_hand"], 2]


def test_a_figure_turned_to_the_right_looks_to_the_right() -> None:
    points = joints(Body(), pose({}, turn=90))
    assert points[JOINT["l_toe"], 0] > points[JOINT["l_ankle"], 0] + 0.05


def test_an_unknown_segment_is_refused() -> None:
    with pytest.raises(KeyError, match="l_tail"):
        pose({"l_tail": (0, 0)})


def test_a_blend_begins_and_ends_with_its_poses() -> None:
    standing, leaping = pose({}, hop=0.0), pose({"torso": (90, 0)}, hop=0.3, turn=40)
    for weight, expected in ((0.0, standing), (1.0, leaping)):
        assert np.allclose(joints(Body(), blend(standing, leaping, weight)), joints(Body(), expected))


@given(labels, seeds, times)
@settings(deadline=None)
def test_every_motion_is_finite_and_above_the_floor(label: str, seed: int, t: float) -> None:
    points = skeleton(label, seed, t)
    assert np.isfinite(points).all()
    assert points[:, 2].min() >= 0


@given(labels, seeds, times)
@settings(deadline=None)
def test_limbs_keep_their_length(label: str, seed: int, t: float) -> None:
    body = random_person(np.random.default_rng(seed), (128, 128, 128)).body
    points = skeleton(label, seed, t)
    for a, b, length in (("l_hip", "l_knee", body.thigh), ("r_elbow", "r_hand", body.forearm)):
        assert np.linalg.norm(points[JOINT[a]] - points[JOINT[b]]) == pytest.approx(length)


@given(labels, seeds, times)
@settings(deadline=None)
def test_every_motion_is_continuous(label: str, seed: int, t: float) -> None:
    step = 1e-3
    moved = np.abs(skeleton(label, seed, t + step) - skeleton(label, seed, t)).max()
    assert moved / step < 12  # body heights a second


@given(labels, seeds, times, st.floats(0.0, 0.16))
@settings(deadline=None)
def test_no_motion_leaves_the_room_that_scenes_keep_free(
    label: str, seed: int, t: float, tilt: float
) -> None:
    rng = np.random.default_rng(seed)
    person = random_person(rng, (128, 128, 128))
    points = joints(person.body, random_motion(label, rng, person.body)(t))
    left, top, right, bottom = outline_box(figure_parts(person, points, View(0, 0, 1, tilt=tilt)))
    assert -HALF_WIDTH <= left < right <= HALF_WIDTH
    assert -REACH <= top < bottom <= DROP


@given(seeds, st.floats(40, 200))
@settings(max_examples=40, deadline=None)
def test_a_play_fills_its_time_and_holds_every_exercise(seed: int, seconds: float) -> None:
    play = random_play(np.random.default_rng(seed), Body(), seconds)
    assert set(play.labels) == set(LABELS)
    assert play.bounds[0] == 0
    assert play.bounds[-1] == pytest.approx(seconds)
    for label, start, end in zip(play.labels, play.bounds, play.bounds[1:], strict=False):
        low, high = (2.5, 5.0) if label == "idle" else (5.0, 8.0)
        assert low - 1e-6 <= end - start <= high + 1e-6


@given(seeds, st.floats(0.2, 39))
@settings(max_examples=40, deadline=None)
def test_a_play_too_short_for_everything_still_alternates(seed: int, seconds: float) -> None:
    play = random_play(np.random.default_rng(seed), Body(), seconds)
    assert play.labels[::2] == ("idle",) * len(play.labels[::2])
    assert "idle" not in play.labels[1::2]
    assert play.bounds[-1] == pytest.approx(seconds)


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_a_play_changes_smoothly_between_motions(seed: int) -> None:
    play = random_play(np.random.default_rng(seed), Body(), 41.0)
    for bound in play.bounds[1:-1]:
        steps = np.arange(bound - BLEND_SECONDS, bound + BLEND_SECONDS, 0.01)
        path = np.stack([joints(Body(), play(float(t))) for t in steps])
        assert np.abs(np.diff(path, axis=0)).max() < 0.15


def test_the_exercises_move_more_than_idling_and_each_in_its_own_way() -> None:
    def travel(label: str, joint: str) -> float:
        spans = []
        for seed in range(8):
            path = np.stack([skeleton(label, seed, t)[JOINT[joint]] for t in np.arange(0, 2, 0.08)])
            spans.append(np.abs(np.diff(path, axis=0)).sum())
        return float(np.median(spans))

    hands = {label: travel(label, "l_hand") + travel(label, "r_hand") for label in LABELS}
    assert all(
        hands[label] > 1.3 * hands["idle"] for label in ("jumping_jack", "squat", "wave", "high_knees")
    )
    assert travel("push_up", "head") > 2 * travel("idle", "head")
    assert travel("squat", "pelvis") > 3 * travel("wave", "pelvis")
    assert travel("high_knees", "l_knee") > 3 * travel("wave", "l_knee")
    assert travel("jumping_jack", "l_hand") > 1.5 * travel("squat", "l_hand")


@pytest.mark.parametrize(("label", "height"), [("push_up", 0.6), ("wave", 0.95), ("high_knees", 0.95)])
def test_push_ups_are_low_and_the_others_upright(label: str, height: float) -> None:
    tall = [np.ptp(skeleton(label, seed, 1.0)[:, 2]) for seed in range(12)]
    assert (max(tall) < height) if label == "push_up" else (min(tall) > height - 0.1)


def test_the_hands_of_a_push_up_stay_where_they_are() -> None:
    body = Body()
    motion = random_motion("push_up", np.random.default_rng(5), body)
    path = np.stack([joints(body, motion(t))[JOINT["l_hand"]] for t in np.arange(0, 2, 0.05)])
    assert np.ptp(path, axis=0).max() < 0.12
    assert path[:, 2].max() < 0.12


def test_an_unknown_exercise_is_refused() -> None:
    with pytest.raises(KeyError, match="handstand"):
        random_motion("handstand", np.random.default_rng(0), Body())


def test_repetitions_keep_to_their_tempo() -> None:
    for seed in range(6):
        knees = np.array([skeleton("squat", seed, t)[JOINT["pelvis"], 2] for t in np.arange(0, 20, 0.05)])
        crossings = np.count_nonzero(np.diff(np.sign(knees - knees.mean())) > 0)
        assert 0.6 - 0.1 <= crossings / 20 <= 1.4 + 0.1
