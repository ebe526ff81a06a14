"""What the trainer is fed: whole windows, drawn anew each epoch, and a steady middle for validation."""

import numpy as np
import pytest
import torch
from train_helpers import input_spec, moving_square, tiny_recipe, write_pictures

from vedette_edge.preprocess import resize, to_tensor
from vedette_train.data.augment import clip_augmentation
from vedette_train.data.clips import TrainClips, ValClips, larger
from vedette_train.data.folder import Video
from vedette_train.data.frames import load_frames, prepare_frames

SPEC = input_spec()


def as_floats(clip):
    """An augmentation that changes nothing, so that a window can be told by its pictures."""
    return clip.float()


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
    still = TrainClips(videos[1:], SPEC, cache, clip_augmentation(SPEC, tiny_recipe().augment))
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
