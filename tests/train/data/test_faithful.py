"""The published data path has its defects, and ours, on the same clips, has not."""

import numpy as np
import pytest
import torch
from train_helpers import input_spec, moving_square, write_pictures

from vedette_edge.clips import ClipStream
from vedette_edge.errors import ConfigError
from vedette_edge.manifest import FlowSpec
from vedette_edge.video import read_frames
from vedette_train.data.augment import ClipAugmentation
from vedette_train.data.clips import TrainClips, ValClips, larger
from vedette_train.data.faithful import (
    PublishedAugmentation,
    PublishedValClips,
    clip_tensor,
    encode_flow,
    normalise,
)
from vedette_train.data.folder import Video
from vedette_train.data.frames import prepare_frames
from vedette_train.recipe import AugmentSettings

HALF = (0.5, 0.5, 0.5)
SPEC = input_spec(streams="rgb+flow", flow=FlowSpec(), mean=HALF, std=HALF)
STATISTICAL = SPEC.model_copy(update={"mean": (0.45, 0.44, 0.43), "std": (0.22, 0.23, 0.24)})
STILL = {
    "crop_area": (1.0, 1.0),
    "crop_ratio": (1.0, 1.0),
    "hflip": 0.0,
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
}


def noise(shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faithful")
    video = Video(write_pictures(folder / "a.mp4", moving_square("right", 1, 14)), "a/a.mp4", 1, None)
    prepare_frames([video], larger(SPEC), folder / "cache")
    return [video], folder / "cache"


def test_flow_is_stretched_frame_by_frame_so_that_its_strength_is_lost():
    flow = noise((2, 2, 16, 16))
    flow[1] = 100 * flow[0]
    found = encode_flow(flow)
    assert found.dtype == torch.uint8
    assert (int(found.min()), int(found.max())) == (0, 255)
    assert (found[1].int() - found[0].int()).abs().max() <= 1
    assert not encode_flow(torch.full((1, 2, 4, 4), 3.0)).any()


def test_nearly_all_published_flow_is_saturated_and_ours_is_not(kept):
    videos, cache = kept
    torch.manual_seed(0)
    published = PublishedValClips(videos, SPEC, cache)[0][0][3:, :-1]
    ours = ValClips(videos, SPEC, cache)[0][0][3:]
    assert (published == 1.0).float().mean() > 0.75
    assert (published < 0.0).sum() == 0
    assert (ours.abs() == 1.0).float().mean() < 0.01
    assert ours.max() > 0
    assert ours.min() < 0


def test_standard_and_statistical_are_as_published():
    clip = torch.zeros(1, 5, 1, 3)
    clip[0, :, 0] = torch.tensor([0.0, 127.5, 255.0])
    standard = normalise(clip, SPEC)[0, :, 0]
    torch.testing.assert_close(standard[0], torch.tensor([-1.0, 0.0, 1.0]))
    torch.testing.assert_close(standard[3], torch.tensor([0.0, 1.0, 1.0]))
    statistical = normalise(clip, STATISTICAL)[0, :, 0]
    torch.testing.assert_close(statistical[1], torch.tensor([-1.0, 0.06 / 0.23, 1.0]))
    torch.testing.assert_close(statistical[4], torch.tensor([-1.0, 0.0, 1.0]))
    assert statistical.abs().max() == 1.0


@pytest.mark.parametrize(("setting", "axis"), [("hflip", -1), ("time_reverse", 0)])
def test_arrows_are_not_turned_as_ours_are(setting, axis):
    pictures = torch.zeros(4, 3, SPEC.height, SPEC.width, dtype=torch.uint8)
    flow = noise((5, 2, SPEC.height, SPEC.width))
    plain, changed = ({**STILL, "flow_noise": 0.0, setting: share} for share in (0.0, 1.0))
    published = [
        PublishedAugmentation(STATISTICAL, AugmentSettings(**s))(pictures, flow) for s in (plain, changed)
    ]
    torch.testing.assert_close(published[1][:, 3:], published[0][:, 3:].flip(axis))
    ours = [ClipAugmentation(SPEC, AugmentSettings(**s))(pictures, flow)[:, 3] for s in (plain, changed)]
    if setting == "hflip":
        torch.testing.assert_close(ours[1], -ours[0].flip(axis))
    else:
        torch.testing.assert_close(ours[1][1:], -ours[0].flip(axis)[:-1])


def test_noise_does_nothing_on_the_scale_of_0_to_255():
    pictures = torch.zeros(4, 3, SPEC.height, SPEC.width, dtype=torch.uint8)
    flow = noise((5, 2, SPEC.height, SPEC.width))
    found = [
        PublishedAugmentation(STATISTICAL, AugmentSettings(**STILL, flow_noise=sigma))(pictures, flow)[:, 3:]
        for sigma in (0.0, 0.05)
    ]
    assert (found[1] - found[0]).abs().max() < 0.01
    ours = [
        ClipAugmentation(SPEC, AugmentSettings(**STILL, flow_noise=sigma))(pictures, flow)[:, 3:]
        for sigma in (0.0, 0.05)
    ]
    assert (ours[1] - ours[0]).std() > 0.03


def test_validation_differs_from_reading_to_reading_and_ours_does_not(kept):
    videos, cache = kept
    torch.manual_seed(0)
    clips = PublishedValClips(videos, SPEC, cache)
    assert len(clips) == 1
    published = [clips[0][0] for _ in range(8)]
    assert any(not torch.equal(clip, published[0]) for clip in published[1:])
    ours = ValClips(videos, SPEC, cache)
    assert torch.equal(ours[0][0], ours[0][0])


def test_the_crop_is_centred_on_the_strongest_pixel_and_ties_are_no_trap():
    # 128 of 255 is about rest; the strongest is 255, wherever it comes first.
    flow = torch.zeros(3, 2, 2 * SPEC.height, 2 * SPEC.width)
    flow[:, :, 50, 100] = 1.0
    pictures = torch.zeros(2, 3, 2 * SPEC.height, 2 * SPEC.width, dtype=torch.uint8)
    pictures[..., 50, 100] = 255
    found = PublishedAugmentation(SPEC, None)(pictures, flow)
    assert found.shape == (2, 5, SPEC.height, SPEC.width)
    assert (found[:, 0] == 1.0).sum() == 2
    assert PublishedAugmentation(SPEC, None)(pictures, torch.zeros_like(flow)).shape == found.shape


def test_training_draws_everything_that_was_published(kept):
    videos, cache = kept
    settings = AugmentSettings(time_reverse=0.3, cutout=1.0, cutout_size=0.2, flow_noise=0.05)
    clips = TrainClips(videos, SPEC, cache, PublishedAugmentation(SPEC, settings))
    torch.manual_seed(0)
    drawn = [clips[0][0] for _ in range(6)]
    assert all(clip.shape == (5, 4, 32, 64) for clip in drawn)
    assert all(np.isfinite(clip.numpy()).all() for clip in drawn)
    # Zero before the normalisation: black, and no colour of rest.
    assert all((clip[:3] == -1.0).all(dim=0).sum() >= 4 * 6 * 6 for clip in drawn)
    assert any(not torch.equal(clip, drawn[0]) for clip in drawn[1:])


def test_a_network_that_sees_no_flow_has_no_published_path():
    with pytest.raises(ConfigError, match=r"data\.faithful needs data\.input\.streams: rgb\+flow"):
        PublishedAugmentation(input_spec(), AugmentSettings())


def test_evaluation_sees_a_clip_of_a_stream_as_published(kept):
    videos, _ = kept
    stream = ClipStream(SPEC, 4)
    clip = [c for frame in read_frames(videos[0].path) for c in stream.push(frame)[0]][1]
    found = clip_tensor(clip, SPEC)
    assert (found.shape, found.dtype) == ((1, 5, 4, 32, 64), np.float32)
    for index in range(3):
        forwards = torch.from_numpy(clip.items[index + 1].flow).permute(2, 0, 1)[None]
        picture = torch.from_numpy(clip.items[index].fitted).permute(2, 0, 1)[None]
        wanted = normalise(torch.cat([picture, encode_flow(forwards)], dim=1), SPEC)[0]
        np.testing.assert_array_equal(found[0, :, index], wanted)
    assert not found[0, 3:, 3].any()
