"""One draw a clip, for picture and flow alike, and without any the very tensor that the device makes."""

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import v2
from train_helpers import backdrop, input_spec

from vedette_edge.errors import ConfigError
from vedette_edge.flow import clip_flow
from vedette_edge.manifest import FlowSpec
from vedette_edge.preprocess import to_tensor
from vedette_train.data.augment import ClipAugmentation, motion_box, rotate_flow
from vedette_train.data.clips import larger
from vedette_train.recipe import AugmentSettings

NOTHING = {
    "crop_area": (1.0, 1.0),
    "crop_ratio": (1.0, 1.0),
    "hflip": 0.0,
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
}
EVERYTHING = {"crop_area": (0.3, 0.9), "rotate": 30.0, "hflip": 0.5, "hue": 0.3, "contrast": 0.5}


def augmented(spec, pictures, seed=0, **settings):
    """Return (T, 3, H, W) float32 for pictures (T, H, W, 3) uint8."""
    torch.manual_seed(seed)
    change = ClipAugmentation(spec, AugmentSettings(**settings))
    return change(torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2))


@pytest.mark.parametrize("temporal", ["none", "difference"])
@pytest.mark.parametrize("size", [(32, 64), (64, 32), (48, 48)])
def test_changing_nothing_gives_what_the_device_computes(size, temporal):
    spec = input_spec(height=size[0], width=size[1], temporal=temporal)
    pictures = [backdrop(seed, spec.width, spec.height) for seed in range(4)]
    found = augmented(spec, pictures, **NOTHING)
    assert found.dtype == torch.float32
    assert np.allclose(found.transpose(0, 1), to_tensor(pictures, spec)[0], atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_a_still_clip_stays_still(seed):
    spec = input_spec()
    found = augmented(spec, [backdrop(1, 80, 40)] * 4, seed, **EVERYTHING)
    assert found.shape == (4, 3, 32, 64)
    assert all(torch.equal(found[0], frame) for frame in found[1:])


@pytest.mark.parametrize(
    "setting",
    [
        {"crop_area": (0.3, 0.9)},
        {"crop_ratio": (0.5, 2.0), "crop_area": (0.4, 0.4)},
        {"hflip": 0.5},
        {"rotate": 20.0},
    ]
    + [{name: 0.5} for name in ("brightness", "contrast", "saturation", "hue")],
    ids=lambda setting: next(iter(setting)),
)
def test_each_setting_changes_the_clip_and_differs_by_draw(setting):
    spec, pictures = input_spec(), [backdrop(2, 74, 37)] * 2
    plain = augmented(spec, pictures, **NOTHING)
    drawn = [augmented(spec, pictures, seed, **NOTHING | setting) for seed in range(8)]
    assert any(not torch.allclose(one, plain, atol=1e-3) for one in drawn)
    assert any(not torch.equal(one, drawn[0]) for one in drawn[1:])


def test_a_flip_mirrors_the_whole_clip():
    spec = input_spec()
    pictures = [backdrop(seed, 64, 32) for seed in range(4)]
    plain = augmented(spec, pictures, **NOTHING)
    assert torch.equal(augmented(spec, pictures, **NOTHING | {"hflip": 1.0}), plain.flip(-1))


def test_the_corners_that_a_rotation_opens_become_the_mean():
    spec = input_spec()
    white = [np.full((32, 64, 3), 255, np.uint8)]
    for seed in range(20):
        corner = augmented(spec, white, seed, **NOTHING | {"rotate": 45.0})[0, :, 0, 0]
        if corner.abs().max() < 0.1:
            return
    pytest.fail("no draw opened the corner")


def test_kept_frames_lose_no_more_than_their_size():
    # A wide and a high input: the crop keeps the proportions of the picture.
    for height, width in ((32, 96), (96, 32)):
        spec = input_spec(height=height, width=width)
        kept = larger(spec)
        ramp = np.zeros((kept.height, kept.width, 3), np.uint8)
        ramp[:] = np.linspace(0, 255, kept.width, dtype=np.uint8)[:, None]
        found = augmented(spec, [ramp], **NOTHING)[0, 0]
        assert found.shape == (height, width)
        assert found[:, 0].mean() < -0.9
        assert found[:, -1].mean() > 0.9


FLOW = FlowSpec(bound=8.0)
HEIGHT, WIDTH = 32, 64


def flow_spec(streams="flow", **changes):
    return input_spec(streams=streams, flow=FLOW, **changes)


def random_flow(count, height=HEIGHT, width=WIDTH, seed=0, size=3.0):
    """Smooth arrows, (count, 2, H, W) float32 pixels."""
    rng = torch.Generator().manual_seed(seed)
    coarse = size * torch.randn(count, 2, 4, 6, generator=rng)
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear", align_corners=True)


def augmented_flow(flow, seed=0, **changes):
    """Return (T, 2, 32, 64) in -1..1 for flow (T + 1, 2, H, W)."""
    torch.manual_seed(seed)
    return ClipAugmentation(flow_spec(), AugmentSettings(**NOTHING | changes))(None, flow)


def scaled(flow):
    return (flow / FLOW.bound).clamp(-1.0, 1.0)


@settings(max_examples=25, deadline=None)
@given(
    streams=st.sampled_from(["rgb", "flow", "rgb+flow"]),
    temporal=st.sampled_from(["none", "difference"]),
    magnitude=st.booleans(),
    size=st.sampled_from([(32, 64), (64, 32), (40, 40)]),
    seed=st.integers(0, 1000),
)
def test_neutral_settings_give_the_devices_tensor_whatever_the_network_sees(
    streams, temporal, magnitude, size, seed
):
    spec = input_spec(
        streams=streams,
        flow=None if streams == "rgb" else FLOW.model_copy(update={"magnitude": magnitude}),
        temporal=temporal,
        height=size[0],
        width=size[1],
    )
    rng = np.random.default_rng(seed)
    pictures = [backdrop(int(rng.integers(1000)), spec.width, spec.height) for _ in range(4)]
    fields = clip_flow(pictures, FLOW).astype(np.float16)
    wanted = to_tensor(pictures, spec, None if streams == "rgb" else list(fields))[0]
    after = np.concatenate([fields, np.ones_like(fields[:1])])
    torch.manual_seed(seed)
    found = ClipAugmentation(spec, AugmentSettings(**NOTHING))(
        torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) if "rgb" in streams else None,
        torch.from_numpy(after).permute(0, 3, 1, 2) if "flow" in streams else None,
    )
    assert found.shape == (4, spec.channels, spec.height, spec.width)
    np.testing.assert_allclose(found.transpose(0, 1), wanted, atol=1e-6)


def test_a_flip_turns_the_arrows_that_point_across():
    flow = random_flow(5)
    flipped = augmented_flow(flow, hflip=1.0)
    mirrored = scaled(flow[:-1]).flip(-1)
    torch.testing.assert_close(flipped[:, 0], -mirrored[:, 0])
    torch.testing.assert_close(flipped[:, 1], mirrored[:, 1])


def test_a_clip_that_runs_backwards_has_the_flow_of_what_follows_negated():
    flow = random_flow(5)
    backwards = augmented_flow(flow, time_reverse=1.0)
    # Its first picture is the last one, which came from what follows the clip.
    for index in range(4):
        torch.testing.assert_close(backwards[index], scaled(-flow[4 - index]))


def test_running_backwards_twice_is_running_forwards():
    flow = random_flow(6)
    once = augmented_flow(flow, time_reverse=1.0)
    again = augmented_flow(torch.cat([once * FLOW.bound, torch.zeros_like(flow[:1])]), time_reverse=1.0)
    torch.testing.assert_close(again[1:], scaled(flow[1:5]))


def test_pictures_that_run_backwards_are_reversed():
    spec = input_spec()
    pictures = [backdrop(seed, 64, 32) for seed in range(4)]
    plain = augmented(spec, pictures, **NOTHING)
    assert torch.equal(augmented(spec, pictures, **NOTHING | {"time_reverse": 1.0}), plain.flip(0))


def test_a_crop_enlarges_the_arrows_as_it_enlarges_the_picture():
    # A field of one arrow everywhere: whatever is cropped, only the enlargement shows.
    flow = torch.ones(3, 2, 2 * HEIGHT, 2 * WIDTH)
    flow[:, 1] = 2.0
    whole = augmented_flow(flow)
    torch.testing.assert_close(whole[0, :, 5, 5], torch.tensor([0.5, 1.0]) / FLOW.bound)
    half = augmented_flow(flow, crop_area=(0.25, 0.25))
    torch.testing.assert_close(half[0, :, 5, 5], torch.tensor([1.0, 2.0]) / FLOW.bound)
    # Twice as wide as high: across it is enlarged less than down.
    wide = augmented_flow(flow, crop_area=(0.5, 0.5), crop_ratio=(2.0, 2.0))
    torch.testing.assert_close(wide[0, :, 5, 5], torch.tensor([0.5, 2.0]) / FLOW.bound)


@settings(max_examples=20, deadline=None)
@given(st.floats(-180.0, 180.0), st.floats(-3.0, 3.0), st.floats(-3.0, 3.0))
def test_a_rotation_turns_the_arrows_with_the_picture(angle, across, down):
    flow = torch.zeros(1, 2, 33, 33)
    flow[:, 0], flow[:, 1] = across, down
    found = rotate_flow(flow, angle)[0, :, 16, 16].numpy()
    # Against the clock, with y downwards.
    turn = np.radians(angle)
    wanted = [
        np.cos(turn) * across + np.sin(turn) * down,
        -np.sin(turn) * across + np.cos(turn) * down,
    ]
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_a_quarter_turn_carries_places_and_arrows_as_it_carries_the_picture():
    # Something at the right edge that moves right is, after a quarter turn, at the top and moves up.
    flow = torch.zeros(1, 2, 33, 33)
    flow[0, 0, 14:19, 28:] = 2.0
    turned = rotate_flow(flow, 90.0)
    picture = torchvision_rotate(torch.norm(flow, dim=1, keepdim=True), 90.0)
    torch.testing.assert_close(torch.norm(turned, dim=1, keepdim=True), picture, atol=1e-4, rtol=0)
    assert turned[0, 1, 2, 16] == pytest.approx(-2.0, abs=1e-4)


def torchvision_rotate(picture, angle):
    return v2.functional.rotate(picture, angle, interpolation=v2.InterpolationMode.BILINEAR)


def square_in(height, width, top, left, side=8):
    picture = np.full((height, width, 3), 40, np.uint8)
    picture[top : top + side, left : left + side] = 220
    return picture


@pytest.mark.parametrize("seed", range(12))
def test_flow_stays_where_the_picture_shows_what_moves(seed):
    """The strongest arrows of an augmented clip lie on the square that its pictures show moving."""
    spec = flow_spec("rgb+flow")
    pictures = [square_in(48, 80, 16 + i, 30 + 2 * i) for i in range(4)]
    fields = clip_flow(pictures, FLOW)
    # Flow is seen where the square now is; around it, it is a guess.
    for field, picture in zip(fields, pictures, strict=True):
        field[picture[..., 0] < 200] = 0.0
    fields[1:][np.stack(pictures[1:])[..., 0] >= 200] = (2.0, 1.0)
    torch.manual_seed(seed)
    change = {"crop_area": (0.5, 0.9), "hflip": 0.5, "rotate": 20.0}
    found = ClipAugmentation(spec, AugmentSettings(**NOTHING | change))(
        torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2),
        torch.from_numpy(np.concatenate([fields, fields[-1:]])).permute(0, 3, 1, 2),
    )
    bright = (found[:, :3] * torch.tensor(spec.std)[:, None, None]).mean(dim=1)
    moving = torch.linalg.vector_norm(found[:, 3:], dim=1)
    seen = bright[2] > bright[2].min() + 0.8 * (bright[2].max() - bright[2].min())
    dark = bright[2] < bright[2].min() + 0.1 * (bright[2].max() - bright[2].min())
    assert moving[2][seen].mean() > 10 * moving[2][dark].mean() + 1e-6
    # And the arrows say where the square of the pictures went.
    first, last = (centre(bright[i]) for i in (1, 3))
    arrow = found[2, 3:][:, seen].mean(dim=1) * FLOW.bound
    np.testing.assert_allclose(arrow, (last - first) / 2, atol=0.5)


def centre(picture):
    """Return the centre (x, y) of what is bright."""
    weight = (picture > picture.min() + 0.6 * (picture.max() - picture.min())).float()
    rows, columns = torch.meshgrid(*(torch.arange(n) for n in picture.shape), indexing="ij")
    return torch.stack([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()


def test_the_crop_is_laid_where_most_moves():
    flow = torch.zeros(3, 2, 40, 60)
    flow[:, 0, 25:33, 45:53] = 2.0
    top, left, height, width = motion_box(flow, (0, 0, 16, 20))
    assert (height, width) == (16, 20)
    assert top <= 25
    assert top + height >= 33
    assert left <= 45
    assert left + width >= 53


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_where_nothing_stands_out_the_crop_stays_where_it_was_drawn(value):
    flow = torch.full((3, 2, 40, 60), value)
    assert motion_box(flow, (7, 11, 16, 20)) == (7, 11, 16, 20)
    assert motion_box(flow, (0, 0, 40, 60)) == (0, 0, 40, 60)


def test_a_motion_crop_shows_what_moves():
    flow = torch.zeros(3, 2, 2 * HEIGHT, 2 * WIDTH)
    flow[:, 0, :8, :8] = 2.0
    found = [
        augmented_flow(flow, seed, crop_area=(0.2, 0.2), motion_crop=share)[0].abs().max()
        for share in (1.0, 0.0)
        for seed in range(8)
    ]
    assert min(found[:8]) > 0.2
    assert min(found[8:]) < 0.01


def test_a_motion_crop_without_flow_is_refused():
    with pytest.raises(ConfigError, match=r"augment\.motion_crop needs flow"):
        ClipAugmentation(input_spec(), AugmentSettings(motion_crop=0.5))


def test_a_square_is_cut_out_of_all_frames_and_channels():
    spec = flow_spec("rgb+flow")
    pictures = torch.full((4, 3, HEIGHT, WIDTH), 255, dtype=torch.uint8)
    flow = torch.full((5, 2, HEIGHT, WIDTH), 2.0)
    torch.manual_seed(1)
    change = ClipAugmentation(spec, AugmentSettings(**NOTHING | {"cutout": 1.0, "cutout_size": 0.25}))
    found = change(pictures, flow)
    blank = found == 0.0
    assert blank.sum() == 4 * 5 * 8 * 16
    assert torch.equal(blank, blank[:1, :1].expand_as(blank))
    assert not torch.equal(change(pictures, flow) == 0.0, blank)


def test_noise_is_on_the_scaled_flow_and_stays_in_range():
    still = augmented_flow(torch.zeros(9, 2, HEIGHT, WIDTH), flow_noise=0.05)
    assert still.std() == pytest.approx(0.05, rel=0.1)
    fast = augmented_flow(torch.full((9, 2, HEIGHT, WIDTH), 100.0), flow_noise=0.5)
    assert fast.max() == 1.0
    assert fast.min() < 0.5


@pytest.mark.parametrize("seed", range(4))
def test_flow_is_not_coloured(seed):
    flow = random_flow(5)
    plain = augmented_flow(flow)
    colours = dict.fromkeys(("brightness", "contrast", "saturation", "hue"), 0.5)
    torch.testing.assert_close(augmented_flow(flow, seed, **colours), plain)


@pytest.mark.parametrize("streams", ["rgb", "flow", "rgb+flow"])
def test_the_same_random_state_gives_the_same_clip_and_the_input_is_left_as_it_is(streams):
    spec = input_spec(streams=streams, flow=None if streams == "rgb" else FLOW)
    pictures = torch.randint(0, 255, (4, 3, 40, 70), dtype=torch.uint8) if "rgb" in streams else None
    flow = random_flow(5, 40, 70) if spec.flow else None
    kept = [None if part is None else part.clone() for part in (pictures, flow)]
    everything = EVERYTHING | {"time_reverse": 0.5, "cutout": 0.5, "flow_noise": 0.1}
    change = ClipAugmentation(spec, AugmentSettings(**everything))
    drawn = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        drawn.append(change(pictures, flow))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    for part, before in zip((pictures, flow), kept, strict=True):
        assert part is before or torch.equal(part, before)
