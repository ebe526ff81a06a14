"""What the trainer is fed: whole windows, drawn anew each epoch, and a steady middle for validation."""

import numpy as np
import pytest
import torch
from train_helpers import input_spec, moving_square, tiny_recipe, write_pictures

from vedette_edge.clips import ClipStream, clip_tensor
from vedette_edge.errors import DataError
from vedette_edge.manifest import FlowSpec
from vedette_edge.preprocess import resize, to_tensor
from vedette_edge.video import read_frames
from vedette_train.data.augment import ClipAugmentation
from vedette_train.data.clips import TrainClips, ValClips, larger
from vedette_train.data.folder import Video
from vedette_train.data.frames import load_flow, load_frames, prepare_frames

SPEC = input_spec()
FLOW = FlowSpec()


def as_floats(pictures, flow):
    """An augmentation that changes nothing, so that a window can be told by its pictures."""
    assert flow is None
    return pictures.float()


@pytest.fixture
def kept(tmp_path):
    """Two videos of 12 and of 2 pictures, and where their frames are kept."""
    videos = [
        Video(write_pictures(tmp_path / f"{n}.mp4", moving_square("left", n, n)), f"a/{n}.mp4", label, None)
        for label, n in enumerate((12, 2))
    ]
    prepare_frames(videos, larger(SPEC), tmp_path / "cache")
    return videos, tmp_path / "cache"


def test_kept_frames_leave_room_for_crops_and_keep_everything_else():
    spec = input_spec(height=100, width=60)
    assert (larger(spec).height, larger(spec).width) == (115, 69)
    assert larger(spec).model_copy(update={"height": 100, "width": 60}) == spec


def test_a_training_clip_is_a_window_of_consecutive_frames(kept):
    videos, cache = kept
    frames = load_frames(videos[0], larger(SPEC), cache)
    clips = TrainClips(videos, SPEC, cache, as_floats, clips_per_video=2)
    assert len(clips) == 4
    starts = set()
    for seed in range(40):
        torch.manual_seed(seed)
        clip, label = clips[1]
        assert label == 0
        (start,) = [s for s in range(9) if np.array_equal(clip.permute(1, 2, 3, 0), frames[s : s + 4])]
        starts.add(start)
    assert starts == set(range(9))


def test_a_short_video_repeats_its_last_frame(kept):
    videos, cache = kept
    frames = load_frames(videos[1], larger(SPEC), cache)
    clip, label = TrainClips(videos, SPEC, cache, as_floats)[1]
    assert label == 1
    assert np.array_equal(clip.permute(1, 2, 3, 0), frames[[0, 1, 1, 1]])


def test_two_epochs_draw_anew_from_frames_that_are_kept(kept):
    videos, cache = kept
    still = TrainClips(videos[1:], SPEC, cache, ClipAugmentation(SPEC, tiny_recipe().augment))
    torch.manual_seed(0)
    first, second = still[0][0], still[0][0]
    assert first.shape == second.shape == (3, 4, 32, 64)
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(still[0][0], first)


def test_a_validation_clip_is_the_middle_as_the_device_would_prepare_it(kept):
    videos, cache = kept
    frames = load_frames(videos[0], larger(SPEC), cache)
    wanted = to_tensor([resize(frame, SPEC.height, SPEC.width) for frame in frames[4:8]], SPEC)[0]
    clips = ValClips(videos, SPEC, cache)
    assert len(clips) == 2
    for _ in range(2):
        clip, label = clips[0]
        assert label == 0
        assert np.array_equal(clip, wanted)
    assert np.array_equal(clips[1][0][:, 1], clips[1][0][:, 3])


STREAMS = ["rgb", "flow", "rgb+flow"]
NOTHING = {
    "crop_area": (1.0, 1.0),
    "crop_ratio": (1.0, 1.0),
    "hflip": 0.0,
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
}


def seen(streams, **changes):
    return input_spec(streams=streams, flow=FLOW if "flow" in streams else None, **changes)


@pytest.fixture
def moving(tmp_path):
    """As `kept`, with flow."""
    videos = [
        Video(write_pictures(tmp_path / f"{n}.mp4", moving_square("left", n, n)), f"a/{n}.mp4", label, None)
        for label, n in enumerate((12, 2))
    ]
    prepare_frames(videos, larger(seen("rgb+flow")), tmp_path / "cache")
    return videos, tmp_path / "cache"


def raw(pictures, flow):
    """An augmentation that changes nothing, but for the flow that follows the clip, which it drops."""
    parts = [part.float() for part in (pictures, None if flow is None else flow[:-1]) if part is not None]
    return torch.cat(parts, dim=1)


@pytest.mark.parametrize("streams", STREAMS)
def test_a_window_has_the_pictures_and_the_flow_of_the_same_frames(moving, streams):
    videos, cache = moving
    spec = seen(streams)
    frames = load_frames(videos[0], larger(spec), cache)
    flow = load_flow(videos[0], larger(seen("flow")), cache)
    both = np.concatenate([frames.astype(np.float32), flow.astype(np.float32)], axis=3)
    wanted = both[..., {"rgb": slice(0, 3), "flow": slice(3, 5), "rgb+flow": slice(0, 5)}[streams]]
    clips = TrainClips(videos, spec, cache, raw)
    starts = set()
    for seed in range(40):
        torch.manual_seed(seed)
        clip = clips[0][0].permute(1, 2, 3, 0)
        (start,) = [s for s in range(9) if np.array_equal(clip, wanted[s : s + 4])]
        starts.add(start)
    assert starts == set(range(9))


def test_the_augmentation_is_told_what_follows_the_clip(moving):
    videos, cache = moving
    spec = seen("flow")
    flow = load_flow(videos[0], larger(spec), cache).astype(np.float32)
    given = []

    def listen(pictures, motion):
        assert pictures is None
        given.append(motion.float().permute(0, 2, 3, 1).numpy())
        return motion[:-1].float()

    clips = TrainClips(videos, spec, cache, listen)
    for seed in range(40):
        torch.manual_seed(seed)
        clips[0]
    after_the_video = np.concatenate([flow, np.zeros_like(flow[:1])])
    for motion in given:
        assert any(np.array_equal(motion, after_the_video[s : s + 5]) for s in range(9))


def test_the_frames_that_pad_a_short_video_stand_still(moving):
    videos, cache = moving
    clip, _ = TrainClips(videos, seen("flow"), cache, raw)[1]
    assert [bool(frame.any()) for frame in clip.transpose(0, 1)] == [False, True, False, False]
    clip, _ = ValClips(videos, seen("flow"), cache)[1]
    assert [bool(frame.any()) for frame in clip.transpose(0, 1)] == [False, True, False, False]


@pytest.mark.parametrize("streams", STREAMS)
@pytest.mark.parametrize("temporal", ["none", "difference"])
def test_a_pair_is_two_clips_one_frame_apart_changed_alike(moving, streams, temporal):
    videos, cache = moving
    spec = seen(streams, temporal=temporal)
    settings = tiny_recipe().augment.model_copy(
        update={"crop_area": (0.4, 0.7), "hflip": 0.5, "time_reverse": 0.5, "rotate": 10.0}
    )
    clips = TrainClips(videos, spec, cache, ClipAugmentation(spec, settings), pair=True)
    for seed in range(6):
        torch.manual_seed(seed)
        pair, label = clips[0]
        assert (pair.shape, label) == ((2, spec.channels, 4, 32, 64), 0)
        first, second = pair
        # The shared frames are the same, save for the first difference of a clip, which is zero.
        kept = slice(1, None) if temporal == "difference" and "rgb" in streams else slice(None)
        assert torch.equal(first[:, 1:][:, kept], second[:, :-1][:, kept])
        assert not torch.equal(first, second)
        if temporal == "difference" and "rgb" in streams:
            assert not first[:3, 0].any()
            assert not second[:3, 0].any()


def test_a_pair_of_a_short_video_is_padded(moving):
    videos, cache = moving
    pair, _ = TrainClips(videos, seen("rgb"), cache, raw, pair=True)[1]
    assert pair.shape == (2, 3, 4, *larger(SPEC).model_dump(include={"height", "width"}).values())
    assert torch.equal(pair[1][:, 0], pair[1][:, 3])


@pytest.mark.parametrize("streams", STREAMS)
def test_a_validation_clip_is_nearly_what_the_device_sees(moving, streams):
    videos, cache = moving
    spec = seen(streams)
    clip, _ = ValClips(videos, spec, cache)[0]
    assert torch.equal(clip, ValClips(videos, spec, cache)[0][0])
    stream = ClipStream(spec, 1)
    device = [c for frame in read_frames(videos[0].path) for c in stream.push(frame)[0]][4]
    wanted = torch.from_numpy(clip_tensor(device, spec)[0])
    assert clip.shape == wanted.shape
    # Not the same: what is kept is a little larger, and its flow was computed of finer pictures.
    assert np.corrcoef(clip.ravel(), wanted.ravel())[0, 1] > 0.9


def test_training_without_changes_sees_what_validation_sees(moving):
    videos, cache = moving
    spec = seen("flow")
    train = TrainClips(
        videos,
        spec,
        cache,
        ClipAugmentation(
            spec, tiny_recipe(**{f"augment__{name}": value for name, value in NOTHING.items()}).augment
        ),
    )
    val, _ = ValClips(videos, spec, cache)[0]
    for seed in range(60):
        torch.manual_seed(seed)
        clip, _ = train[0]
        if (clip - val).abs().max() < 0.05:
            return
    pytest.fail("no training window is the validation window")


@pytest.mark.parametrize("streams", STREAMS)
@pytest.mark.parametrize("pair", [False, True])
def test_a_video_of_one_picture_is_a_clip_that_stands_still(streams, pair, tmp_path):
    spec = seen(streams)
    video = Video(write_pictures(tmp_path / "a.mp4", moving_square("left", 1, 1)), "a/a.mp4", 0, None)
    prepare_frames([video], larger(spec), tmp_path / "cache")
    settings = tiny_recipe(augment__time_reverse=0.5).augment
    clip, _ = TrainClips([video], spec, tmp_path / "cache", ClipAugmentation(spec, settings), pair=pair)[0]
    first = clip[0] if pair else clip
    assert first.shape == (spec.channels, 4, 32, 64)
    assert torch.equal(first, first[:, :1].expand_as(first))
    val, _ = ValClips([video], spec, tmp_path / "cache")[0]
    assert val.shape == first.shape
    if "flow" in streams:
        assert not val[-2:].any()


@pytest.mark.parametrize("streams", STREAMS)
def test_other_processes_load_the_same_clips(moving, streams):
    videos, cache = moving
    spec = seen(streams)
    for clips in (
        ValClips(videos, spec, cache),
        TrainClips(videos, spec, cache, ClipAugmentation(spec, tiny_recipe().augment), pair=True),
    ):
        batches = []
        for _ in range(2):
            torch.manual_seed(7)
            loader = torch.utils.data.DataLoader(clips, batch_size=2, num_workers=1)
            batches.append(next(iter(loader))[0])
        assert torch.equal(*batches)


def test_frames_that_are_not_kept_are_an_error(moving, tmp_path):
    videos, _ = moving
    for clips in (ValClips(videos, SPEC, tmp_path), TrainClips(videos, SPEC, tmp_path, as_floats)):
        with pytest.raises(DataError, match="its decoded frames are gone"):
            clips[0]
    videos[0].path.unlink()
    with pytest.raises(DataError, match="its decoded frames are gone"):
        ValClips(videos, SPEC, tmp_path)[0]
