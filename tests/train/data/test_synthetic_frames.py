"""Frames: the figure is where its box says, inside the frame, and the same seed draws it again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette_train.data.synthetic import LABELS
from vedette_train.data.synthetic.exercises import random_motion
from vedette_train.data.synthetic.render import View, draw_figure, draw_shadow, figure_parts, outline_box
from vedette_train.data.synthetic.skeleton import joints, pose
from vedette_train.data.synthetic.take import Take, random_cast

SIZE = (160, 120)

seeds = st.integers(0, 2**32 - 1)


def draw_take(seed: int, label: str = "jumping_jack", size: tuple[int, int] = SIZE, frames: int = 6) -> Take:
    rng = np.random.default_rng(seed)
    cast = random_cast(rng, size)
    motion = random_motion(label, rng, cast.person.body)
    return cast.take(rng, motion, size=size, fps=10.0, frames=frames)


def pixels(box: tuple[float, float, float, float], size: tuple[int, int], grow: int) -> tuple[slice, slice]:
    x, y, width, height = np.array(box) * (*size, *size)
    rows = slice(max(0, int(y) - grow), int(y + height) + grow + 1)
    return rows, slice(max(0, int(x) - grow), int(x + width) + grow + 1)


@given(seeds, st.sampled_from(LABELS))
@settings(max_examples=15, deadline=None)
def test_the_same_seed_draws_the_same_frames(seed: int, label: str) -> None:
    first, again = draw_take(seed, label), draw_take(seed, label)
    for index in (0, 5):
        assert np.array_equal(first.shot(index)[0], again.shot(index)[0])


def test_another_seed_draws_another_place() -> None:
    assert not np.array_equal(draw_take(1).empty(0), draw_take(2).empty(0))


def test_a_frame_does_not_depend_on_the_frames_drawn_before() -> None:
    take = draw_take(3)
    alone, _ = take.shot(4)
    in_order = [frame for frame, _ in take.shots()]
    assert np.array_equal(alone, in_order[4])
    assert alone.shape == (SIZE[1], SIZE[0], 3)
    assert alone.dtype == np.uint8


@given(seeds, st.sampled_from(LABELS))
@settings(max_examples=25, deadline=None)
def test_the_figure_fills_its_box_and_touches_nothing_outside(seed: int, label: str) -> None:
    take = draw_take(seed, label)
    parts = figure_parts(take.person, joints(take.person.body, take.motion(0.3)), take.view)
    empty = np.full_like(take.scene.picture(0.3), (255, 0, 255))  # a colour that nobody wears
    picture = empty.copy()
    draw_figure(picture, parts, take.view)
    changed = np.abs(picture.astype(int) - empty).max(axis=2) > 12
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    found = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    assert np.abs(np.subtract(found, outline_box(parts))).max() < 1.5


@given(seeds, st.sampled_from(LABELS))
@settings(max_examples=25, deadline=None)
def test_the_box_follows_the_figure_through_the_shaking_camera(seed: int, label: str) -> None:
    take = draw_take(seed, label)
    for index in (0, 3):
        frame, box = take.shot(index)
        changed = np.abs(frame.astype(int) - take.empty(index)).max(axis=2) > 40
        changed &= ~_shadow_area(take, index)
        inside = np.zeros_like(changed)
        inside[pixels(box, SIZE, grow=2)] = True
        assert not (changed & ~inside).any()


def _shadow_area(take: Take, index: int) -> np.ndarray:
    t = index / take.fps
    picture = take.scene.picture(t)
    draw_shadow(picture, joints(take.person.body, take.motion(t)), take.view)
    shadowed = take.camera.frame(picture, index).astype(int)
    return np.asarray(np.abs(shadowed - take.empty(index)).max(axis=2) > 2)


@given(seeds, st.sampled_from(LABELS), st.sampled_from([(160, 120), (96, 96), (90, 160)]))
@settings(max_examples=40, deadline=None)
def test_the_whole_figure_stays_in_the_frame(seed: int, label: str, size: tuple[int, int]) -> None:
    take = draw_take(seed, label, size)
    for index in range(take.frames):
        points = joints(take.person.body, take.motion(index / take.fps))
        edges = np.array(outline_box(figure_parts(take.person, points, take.view))).reshape(2, 2)
        corners = np.column_stack([edges[[0, 0, 1, 1], 0], edges[[0, 1, 0, 1], 1], np.ones(4)])
        seen = corners @ take.camera.moves[index].T
        assert seen.min() >= 0
        assert (seen <= size).all()


def test_upright_figures_take_half_to_three_quarters_of_the_height() -> None:
    heights = np.array([draw_take(seed).view.height / SIZE[1] for seed in range(60)])
    assert heights.min() >= 0.48
    assert heights.max() <= 0.75
    assert np.ptp(heights) > 0.15


def test_figures_stand_in_many_places() -> None:
    places = np.array([(take.view.x, take.view.y) for take in map(draw_take, range(40))]) / SIZE
    assert (np.ptp(places, axis=0) > (0.3, 0.15)).all()


def test_a_figure_can_be_told_from_its_background() -> None:
    contrast = []
    for seed in range(30):
        take = draw_take(seed)
        frame, box = take.shot(0)
        area = pixels(box, SIZE, grow=0)
        difference = np.abs(frame[area].astype(int) - take.empty(0)[area]).max(axis=2)
        contrast.append(np.percentile(difference, 85))
    assert np.median(contrast) > 50
    assert min(contrast) > 15


def test_places_differ_in_light_and_some_cameras_shake() -> None:
    takes = [draw_take(seed) for seed in range(30)]
    assert np.ptp([take.empty(0).mean() for take in takes]) > 60
    shifts = np.array([np.ptp(take.camera.moves[:, :, 2], axis=0).max() for take in takes])
    assert (shifts == 0).any()
    assert (shifts > 0.5).any()


def test_a_figure_outside_the_picture_draws_nothing() -> None:
    take = draw_take(4)
    view = View(x=-500, y=-500, height=50)
    points = joints(take.person.body, pose({}))
    picture = np.full((120, 160, 3), 77, np.uint8)
    draw_shadow(picture, points, view)
    draw_figure(picture, figure_parts(take.person, points, view), view)
    assert (picture == 77).all()


@pytest.mark.parametrize("label", LABELS)
def test_every_label_moves(label: str) -> None:
    take = draw_take(8, label, frames=12)
    boxes = np.array([take.shot(index)[1] for index in range(12)])
    assert np.ptp(boxes, axis=0).max() > 0.002
