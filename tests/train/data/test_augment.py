"""One draw a clip, and without any the very tensor that the device makes."""

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import numpy as np
import pytest
import torch
from train_helpers import backdrop, input_spec

from vedette_edge.preprocess import to_tensor
from vedette_train.data.augment import clip_augmentation
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
    change = clip_augmentation(spec, AugmentSettings(**settings))
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
