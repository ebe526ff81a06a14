from __future__ import annotations

import numpy as np
import pytest

from vedette_edge.gate import MotionDetector

HEIGHT, WIDTH = 90, 160


def room(seed=0):
    """Return a picture with texture everywhere, (H, W, 3) float."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(40, 200, (HEIGHT // 10, WIDTH // 10, 3))
    return np.kron(blocks, np.ones((10, 10, 1)))


def camera(picture, seed, noise=1.5):
    """Return what a camera makes of it: with noise, 8 bits."""
    added = np.random.default_rng(seed).normal(0, noise, picture.shape)
    return np.clip(picture + added, 0, 255).astype(np.uint8)


def shares(pictures, detector=None, fps=10.0, noise=1.5):
    detector = detector or MotionDetector()
    return [detector.push(camera(one, number, noise), number / fps) for number, one in enumerate(pictures)]


def with_person(picture, x, side=12):
    changed = picture.copy()
    changed[40 : 40 + 2 * side, x : x + side] = 20
    return changed


def test_a_still_picture_with_noise_does_not_move():
    assert max(shares([room()] * 100)[10:]) == 0.0


def test_the_first_picture_does_not_move():
    assert shares([room()]) == [0.0]


def test_something_that_walks_moves_by_about_its_area():
    walk = [with_person(room(), x) for x in range(20, 120, 4)]
    found = shares([room()] * 20 + walk)[22:]
    area = 24 * 12 / (HEIGHT * WIDTH)
    assert min(found) > 0.5 * area
    # With the second of its way that the background has not yet forgotten.
    assert max(found) < 6 * area


@pytest.mark.parametrize("level", [0.3, 0.5, 1.3])
def test_light_that_changes_gently_does_not_move(level):
    levels = np.concatenate([np.ones(20), np.linspace(1, level, 100), np.full(20, level)])
    # A camera of 640 pixels with a noise of 2 grey levels, shrunk to 160.
    assert max(shares([room() * one for one in levels], noise=0.5)[10:]) < 0.0005


def test_a_lamp_that_lights_half_of_the_room_at_once_moves_little():
    lamp = np.linspace(0.5, 1.0, WIDTH)[np.newaxis, :, np.newaxis]
    found = shares([room() * 0.5] * 30 + [room() * lamp] * 30)
    assert max(found[29:]) < 0.02


def test_motion_under_a_mask_does_not_count():
    right_half = ((0.4, 0.0), (1.0, 0.0), (1.0, 1.0), (0.4, 1.0))
    walk = [with_person(room(), x) for x in range(80, 120, 4)]
    assert max(shares([room()] * 20 + walk)[22:]) > 0.005
    assert max(shares([room()] * 20 + walk, MotionDetector(masks=[right_half]))[20:]) == 0.0


def test_where_everything_is_masked_nothing_moves():
    everywhere = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
    assert shares([room(), room(1)], MotionDetector(masks=[everywhere])) == [0.0, 0.0]


def test_what_stands_still_becomes_background():
    found = shares([room()] * 20 + [with_person(room(), 60)] * 100)
    assert found[20] > 0.005
    assert max(found[-20:]) == 0.0


def test_a_place_that_flickers_for_long_counts_less():
    def flicker(number, amount):
        changed = room()
        changed[:30, :40] += amount * (1 if number % 2 else -1) * np.indices((30, 40)).sum(0)[..., None] % 7
        return changed

    found = shares([flicker(number, 3.0) for number in range(600)])
    assert np.mean(found[-50:]) < 0.25 * max(np.mean(found[1:20]), 1e-9)


def test_more_sensitivity_sees_fainter_motion():
    def faint(x):
        changed = room()
        changed[40:60, x : x + 20] *= 1.08
        return changed

    pictures = [room()] * 20 + [faint(x) for x in range(20, 100, 8)]
    low, high = (max(shares(pictures, MotionDetector(one))[20:]) for one in (0.1, 0.9))
    assert low < high


def test_another_size_is_another_picture():
    detector = MotionDetector()
    detector.push(camera(room(), 0), 0.0)
    assert detector.push(camera(room(1)[:, :80], 1), 0.1) == 0.0
    assert detector.push(camera(room(2)[:, :80], 2), 0.2) > 0.1


def test_the_frame_rate_does_not_change_what_is_learnt():
    """A person who has stood for 9 s is background at 2 frames a second as at 30."""
    for fps in (2.0, 30.0):
        still = [room()] * round(2 * fps) + [with_person(room(), 60)] * round(9 * fps)
        assert shares(still, fps=fps)[-1] == 0.0
