"""Drawn defects and surfaces."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette_edge.errors import UsageError
from vedette_train.anomaly.defects import add_defect, change_light, change_size, smooth_noise
from vedette_train.anomaly.samples import TrainingPictures, batches
from vedette_train.anomaly.textures import KINDS, draw_surface, spoil, write_textures


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(24, 90), st.integers(24, 90))
def test_a_defect_can_be_seen_and_lies_where_the_mask_says(seed, height, width):
    rng = np.random.default_rng(seed)
    image = rng.integers(60, 180, (height, width, 3), np.uint8)
    before = image.copy()
    changed, mask = add_defect(image, image[::-1], rng)
    assert np.array_equal(image, before)
    assert changed.shape == image.shape
    assert mask.shape == image.shape[:2]
    if mask.any():
        assert np.abs(changed[mask].astype(int) - image[mask]).mean() >= 5
    else:
        assert np.array_equal(changed, image)


@given(st.integers(0, 999), st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_light_and_size_keep_the_shape_and_repeat_with_the_seed(seed, strength):
    image = draw_surface(40, np.random.default_rng(1))
    for change in (change_light, change_size):
        first = change(image, strength, np.random.default_rng(seed))
        assert (first.shape, first.dtype) == (image.shape, np.uint8)
        assert np.array_equal(first, change(image, strength, np.random.default_rng(seed)))
    assert np.abs(change_light(image, 0.0, np.random.default_rng(seed)).astype(int) - image).max() <= 1


def test_noise_has_mean_0_and_deviation_1():
    field = smooth_noise(50, 80, 6, np.random.default_rng(0))
    assert field.shape == (50, 80)
    assert (float(field.mean()), float(field.std())) == pytest.approx((0, 1), abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_spoils_a_surface_where_it_is_marked(kind):
    rng = np.random.default_rng(3)
    image = draw_surface(96, rng)
    spoilt, mask = spoil(image, kind, rng)
    difference = np.abs(spoilt.astype(int) - image).mean(axis=2)
    assert difference[mask].mean() > 10
    assert difference[~mask].mean() < 2


def test_surfaces_are_not_written_over_others(tmp_path):
    write_textures(tmp_path / "new", train=1, good=1, bad=3, side=32)
    assert len(list((tmp_path / "new").rglob("*.png"))) == 1 + 1 + 3 + 3
    with pytest.raises(UsageError, match="is not a new or empty folder"):
        write_textures(tmp_path / "new")


@given(st.integers(1, 40), st.integers(1, 9))
def test_batches_hold_everything_once_and_never_end_with_a_single_picture(count, size):
    order = list(range(count))[::-1]
    parts = list(batches(count, size, order))
    assert [index for part in parts for index in part] == order
    assert len(parts) == 1 or size == 1 or len(parts[-1]) > 1


def test_a_picture_depends_on_seed_epoch_and_number_only(surfaces):
    from anomaly_helpers import tiny_anomaly

    recipe = tiny_anomaly(anomaly__method="defects", draw__light=1.0, draw__hflip=0.5)
    paths = sorted((surfaces / "train" / "good").iterdir())
    first, second = TrainingPictures(paths, recipe), TrainingPictures(paths, recipe)
    first(0, 0)
    picture, mask = first(4, 7)
    again, same = second(4, 7)
    assert picture.equal(again)
    assert mask.equal(same)
    assert not picture.equal(first(4, 8)[0])
    assert first.variant(8) is None


def test_variants_take_turns(surfaces):
    from anomaly_helpers import tiny_anomaly

    paths = sorted((surfaces / "train" / "good").iterdir())
    pictures = TrainingPictures(paths, tiny_anomaly(draw__light=1.0, draw__variants=2))
    assert pictures(1, 0)[0].equal(pictures(1, 2)[0])
    assert not pictures(1, 0)[0].equal(pictures(1, 1)[0])


def test_held_out_pictures_never_change(surfaces):
    from anomaly_helpers import tiny_anomaly

    recipe = tiny_anomaly(anomaly__method="defects", draw__light=1.0)
    paths = sorted((surfaces / "train" / "good").iterdir())
    pictures = TrainingPictures(paths, recipe, held_out=True)
    assert pictures.variant(5) == 0
    assert pictures(2, 0)[0].equal(pictures(2, 5)[0])
