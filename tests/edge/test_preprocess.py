from __future__ import annotations

import numpy as np
import pytest
from edge_helpers import SIDE, input_spec

from vedette_edge.manifest import Cells, OutputSpec
from vedette_edge.preprocess import cell_region, fit, resize, seen_region, to_tensor
from vedette_edge.types import Box

RED = np.zeros((40, 80, 3), np.uint8)
RED[:] = (0, 0, 255)


@pytest.mark.parametrize("crop", ["stretch", "center", "letterbox"])
@pytest.mark.parametrize("shape", [(40, 80), (80, 40), (7, 200), (32, 32)])
def test_every_crop_gives_the_networks_size(crop, shape):
    spec = input_spec(crop=crop)
    fitted = fit(np.zeros((*shape, 3), np.uint8), spec)
    assert (fitted.shape, fitted.dtype) == ((SIDE, SIDE, 3), np.uint8)
    assert fitted.flags.c_contiguous


@pytest.mark.parametrize(("color", "first", "last"), [("rgb", 255, 0), ("bgr", 0, 255)])
def test_the_colour_order_is_the_specs(color, first, last):
    fitted = fit(RED, input_spec(color=color))
    assert (fitted[0, 0, 0], fitted[0, 0, 2]) == (first, last)


def test_center_sees_the_middle_only():
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, 20:60] = 255
    assert fit(image, input_spec(crop="center")).min() == 255


@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_letterbox_has_bars_of_the_mean_colour(color):
    mean = (0.1, 0.2, 0.3)
    fitted = fit(RED, input_spec(crop="letterbox", color=color, mean=mean))
    np.testing.assert_array_equal(fitted[0, 0], [round(255 * value) for value in mean])
    assert fitted[SIDE // 2, 0].max() == 255


def test_the_tensor_is_normalised_per_channel_and_ordered_ncthw():
    spec = input_spec(frames=2, mean=(0.5, 0.25, 0.0), std=(0.5, 1.0, 2.0))
    frames = [np.full((SIDE, SIDE, 3), value, np.uint8) for value in (0, 255)]
    tensor = to_tensor(frames, spec)
    assert (tensor.shape, tensor.dtype) == ((1, 3, 2, SIDE, SIDE), np.float32)
    np.testing.assert_allclose(tensor[0, :, 0, 0, 0], [-1.0, -0.25, 0.0])
    np.testing.assert_allclose(tensor[0, :, 1, 0, 0], [1.0, 0.75, 0.5])


def test_wrong_frames_are_refused():
    with pytest.raises(ValueError, match="expected"):
        to_tensor([np.zeros((SIDE, SIDE, 3), np.uint8)], input_spec(frames=2))


def test_shrinking_averages():
    image = np.zeros((2, 2, 3), np.uint8)
    image[0] = 200
    assert resize(image, 1, 1)[0, 0, 0] == 100


@pytest.mark.parametrize(
    ("crop", "region"),
    [("stretch", Box(0, 0, 1, 1)), ("center", Box(0.25, 0, 0.5, 1)), ("letterbox", Box(0, -0.5, 1, 2))],
)
def test_the_seen_region_of_a_wide_picture(crop, region):
    assert seen_region(80, 40, input_spec(crop=crop)) == region


@pytest.mark.parametrize(
    ("crop", "region"), [("center", Box(0, 0.25, 1, 0.5)), ("letterbox", Box(-0.5, 0, 2, 1))]
)
def test_the_seen_region_of_a_tall_picture(crop, region):
    assert seen_region(40, 80, input_spec(crop=crop)) == region


def test_differences_are_what_changed_since_the_frame_before():
    frames = [np.full((SIDE, SIDE, 3), value, np.uint8) for value in (10, 30, 25)]
    plain = input_spec(frames=3)
    tensor = to_tensor(frames, plain.model_copy(update={"temporal": "difference"}))
    pictures = to_tensor(frames, plain)
    assert not tensor[:, :, 0].any()
    np.testing.assert_allclose(tensor[:, :, 1:], pictures[:, :, 1:] - pictures[:, :, :-1], atol=1e-6)


def test_cells_that_are_not_described_divide_what_was_seen_evenly():
    seen = Box(0.25, 0.0, 0.5, 1.0)
    assert cell_region(seen, input_spec(), OutputSpec(logits=(2,), heatmap=(2, 1, 3, 4))) == seen


def test_the_first_cell_lies_at_the_first_pixel_where_strides_keep_it_there():
    spec = input_spec(height=80, width=112)
    outputs = OutputSpec(logits=(2,), heatmap=(2, 1, 3, 4), cells=Cells(stride=32.0, first=0.5))
    region = cell_region(Box(0.0, 0.0, 1.0, 1.0), spec, outputs)
    first_x, first_y = region.x + region.w * 0.5 / 4, region.y + region.h * 0.5 / 3
    assert (first_x, first_y) == pytest.approx((0.5 / 112, 0.5 / 80))
    assert region.x + region.w * 3.5 / 4 == pytest.approx(96.5 / 112)
