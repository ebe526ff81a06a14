"""Flow says how far things moved, in pixels, right and down; a stream's first frame has none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from edge_helpers import input_spec
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette_edge.flow import FlowStream, clip_flow, to_channels
from vedette_edge.manifest import FlowSpec

HEIGHT, WIDTH = 48, 64
INNER = np.s_[10:-10, 10:-10]
PLAIN = FlowSpec(subtract_mean=False)


def texture(seed=0, height=HEIGHT + 40, width=WIDTH + 40):
    noise = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX)


def gliding(across, down, frames=3):
    """Pictures of a scene that moves by so many pixels a frame."""
    scene = texture()
    origins = [(20 - down * i, 20 - across * i) for i in range(frames)]
    return [np.ascontiguousarray(scene[top : top + HEIGHT, left : left + WIDTH]) for top, left in origins]


@pytest.mark.parametrize("algorithm", ["farneback", "dis"])
@pytest.mark.parametrize(("across", "down"), [(2, 0), (0, 2), (-2, 1), (1, -2)])
def test_flow_is_the_movement_to_the_right_and_down_in_pixels(algorithm, across, down):
    flow = clip_flow(gliding(across, down), FlowSpec(algorithm=algorithm, subtract_mean=False))
    assert (flow.shape, flow.dtype) == ((3, HEIGHT, WIDTH, 2), np.float32)
    assert not flow[0].any()
    for field in flow[1:]:
        np.testing.assert_allclose(field[INNER].mean(axis=(0, 1)), (across, down), atol=0.25)


@pytest.mark.parametrize("preset", ["ultrafast", "fast", "medium"])
def test_every_preset_of_dis_sees_the_movement(preset):
    flow = clip_flow(gliding(2, 0), FlowSpec(algorithm="dis", preset=preset, subtract_mean=False))
    assert flow[1][INNER][..., 0].mean() == pytest.approx(2.0, abs=0.4)


def test_a_camera_that_turns_is_taken_away():
    flow = clip_flow(gliding(2, 1), FlowSpec())
    np.testing.assert_allclose(flow.mean(axis=(1, 2)), 0.0, atol=1e-5)
    np.testing.assert_allclose(flow[1][INNER].mean(axis=(0, 1)), 0.0, atol=0.5)


def test_what_moves_before_a_still_scene_stands_out():
    pictures = []
    for left in (20, 22):
        picture = texture(1, HEIGHT, WIDTH)
        picture[16:32, left : left + 16] = texture(2, 16, 16)
        pictures.append(picture)
    flow = clip_flow(pictures, FlowSpec())[1]
    strength = np.linalg.norm(flow, axis=2)
    assert strength[18:30, 24:34].mean() > 5 * strength[:, 50:].mean()
    assert flow[18:30, 24:34, 0].mean() > 1.0


def test_a_clip_has_the_flow_of_its_stream():
    pictures = gliding(2, 1, 4)
    stream = FlowStream(PLAIN)
    pushed = np.stack([stream.push(picture) for picture in pictures])
    np.testing.assert_array_equal(pushed, clip_flow(pictures, PLAIN))
    stream.reset()
    assert not stream.push(pictures[0]).any()
    np.testing.assert_array_equal(stream.push(pictures[1]), pushed[1])


def test_the_colour_order_does_not_matter():
    pictures = gliding(1, 2)
    other = [np.ascontiguousarray(picture[:, :, ::-1]) for picture in pictures]
    np.testing.assert_array_equal(clip_flow(pictures, PLAIN, "rgb"), clip_flow(other, PLAIN, "bgr"))


def test_parameters_reach_the_algorithm():
    scene = texture(0, 140, 180)  # large enough for several levels
    pictures = [np.ascontiguousarray(scene[:128, :160]), np.ascontiguousarray(scene[3:131, 5:165])]
    plain = clip_flow(pictures, PLAIN)
    changes = {"pyr_scale": 0.8, "levels": 1, "winsize": 7, "iterations": 1, "poly_n": 7, "poly_sigma": 1.5}
    for name, value in changes.items():
        assert not np.array_equal(clip_flow(pictures, PLAIN.model_copy(update={name: value})), plain), name


def test_the_length_is_a_third_channel_where_it_is_wanted():
    flow = np.array([[0.0, 0.0], [3.0, 4.0], [30.0, 0.0]], np.float32)
    found = to_channels(flow, FlowSpec(bound=10.0, magnitude=True))
    np.testing.assert_allclose(found, [[0.0, 0.0, -1.0], [0.3, 0.4, 0.0], [1.0, 0.0, 1.0]], atol=1e-6)
    assert found.dtype == np.float32
    channels = {"rgb": 3, "flow": 3, "rgb+flow": 6}
    for streams, count in channels.items():
        flow_spec = None if streams == "rgb" else FlowSpec(magnitude=True)
        assert input_spec(streams=streams, flow=flow_spec).channels == count


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-100_000, 100_000), min_size=2, max_size=8), st.floats(0.5, 50.0))
def test_channels_are_cut_and_keep_their_direction(values, bound):
    flow = np.array(values, np.float32).reshape(1, 1, 1, -1) / np.float32(10.0)
    found = to_channels(flow, FlowSpec(bound=bound))
    assert found.dtype == np.float32
    assert np.abs(found).max() <= 1.0
    assert np.all(np.sign(found) == np.sign(flow))
    inside = np.abs(flow) <= bound
    np.testing.assert_allclose(found[inside] * bound, flow[inside], rtol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(8, 64), (64, 31)])
def test_a_picture_too_narrow_for_dis_is_refused_before_opencv_crashes(height, width):
    changes = {"streams": "flow", "height": height, "width": width}
    with pytest.raises(ValueError, match=r"flow by 'dis' needs height and width of 32 or more"):
        input_spec(**changes, flow=FlowSpec(algorithm="dis"))
    spec = input_spec(**changes, flow=FlowSpec())
    assert spec.channels == 2
    assert clip_flow([np.zeros((height, width, 3), np.uint8)] * 2, spec.flow).shape[1:3] == (height, width)
