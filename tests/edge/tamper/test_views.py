from __future__ import annotations

import cv2
import numpy as np
import pytest

from vedette_edge.tamper.views import compare, look

HEIGHT, WIDTH = 180, 320


def scene(seed=0):
    """Return a picture with shapes of all sizes, (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    shapes = cv2.resize(rng.integers(40, 200, (24, 40)).astype(np.float32), (WIDTH, HEIGHT), interpolation=2)
    grey = np.clip(shapes + rng.normal(0, 15, shapes.shape), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., np.newaxis], 3, axis=2)


def likeness(changed):
    return compare(look(changed), look(scene()))


def test_a_view_is_like_itself():
    found = compare(look(scene()), look(scene()))
    assert (found.kept, found.detail, found.sharpness) == pytest.approx((1, 1, 1), abs=1e-3)


def test_light_does_not_change_a_view():
    for level in (0.15, 0.5, 1.2):
        assert likeness(np.clip(scene() * level, 0, 255).astype(np.uint8)).kept > 0.9


def test_another_view_is_not_alike():
    found = likeness(scene(1))
    assert found.kept < 0.2
    assert found.detail == pytest.approx(1.0, abs=0.3)


def test_a_shifted_view_is_not_alike():
    assert likeness(np.roll(scene(), 20, axis=1)).kept < 0.2


def test_nothing_is_kept_of_a_covered_view():
    found = likeness(np.full((HEIGHT, WIDTH, 3), 60, np.uint8))
    assert found.kept == 0.0
    assert found.detail < 0.1
    assert found.sharpness == 1.0


def test_a_blurred_view_is_alike_but_not_sharp():
    found = likeness(cv2.GaussianBlur(scene(), (0, 0), 3))
    assert found.kept > 0.8
    assert found.sharpness < 0.45


def test_something_large_in_the_picture_takes_its_tiles_only():
    changed = scene()
    changed[:, : WIDTH // 2] = scene(1)[:, : WIDTH // 2]
    found = likeness(changed)
    assert 0.3 < found.kept < 0.7
    assert found.sharpness == pytest.approx(1.0, abs=0.2)


def test_the_resolution_does_not_matter():
    assert compare(look(cv2.resize(scene(), (640, 480))), look(scene())).kept > 0.9


def test_a_picture_without_texture_tells_nothing():
    flat = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    assert not look(flat).telling
    assert look(scene()).telling


def test_the_mean_of_views_weighs_them():
    first, second = look(scene()), look(scene(1))
    assert compare(first.blended(second, 0.0), first).kept == 1.0
    assert compare(first.blended(second, 1.0), second).kept == 1.0
    assert compare(first.blended(second, 0.2), first).kept > 0.9
