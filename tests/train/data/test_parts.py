"""From a folder to two parts: what is left out, grouped or lacking is said."""

import shutil

import av
import numpy as np
import pytest
from train_helpers import (
    LABELS,
    moving_square,
    tiny_recipe,
    write_dataset,
    write_groups,
    write_pictures,
    write_sound,
)

from vedette_edge.errors import ConfigError, DataError
from vedette_train.data.parts import load_parts


def names(videos):
    return {video.name for video in videos}


def brightened_copy(source, target):
    """Decode, brighten, and encode anew with another codec setting and size."""
    with av.open(str(source)) as container:
        pictures = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    brighter = [np.clip(picture * 0.85 + 25, 0, 255).astype(np.uint8) for picture in pictures]
    return write_pictures(target, [np.repeat(np.repeat(one, 2, 0), 2, 1) for one in brighter])


def test_a_grouped_dataset_is_divided_by_its_groups(data, cache, capsys):
    parts = load_parts(tiny_recipe(), data, cache)
    assert len(parts.train) == len(parts.val) == 4
    assert not {video.group for video in parts.train} & {video.group for video in parts.val}
    printed = capsys.readouterr().err
    assert "train: 4 videos of 2 groups" in printed
    assert "groups.csv" not in printed
    assert load_parts(tiny_recipe(), data, cache) == parts


def test_without_groups_copies_are_named_and_kept_on_one_side(tmp_path, capsys):
    root = write_dataset(tmp_path / "data", grouped=False)
    copies = ("left/left_0.mp4", "left/copy.mp4", "right/again.mp4")
    brightened_copy(root / copies[0], root / copies[1])
    shutil.copy(root / copies[0], root / copies[2])
    for seed in range(6):
        parts = load_parts(tiny_recipe(seed=seed), root, tmp_path / "cache")
        together = names(parts.train) if copies[0] in names(parts.train) else names(parts.val)
        assert together >= set(copies)
    printed = capsys.readouterr().err
    assert "this dataset has no groups.csv" in printed
    assert "nearly the same, kept on one side: left/copy.mp4, left/left_0.mp4, right/again.mp4" in printed
    assert printed.count("nearly the same") == 6


def test_without_groups_and_copies_every_video_is_its_own_group(tmp_path, capsys):
    root = write_dataset(tmp_path / "data", grouped=False)
    parts = load_parts(tiny_recipe(), root, tmp_path / "cache")
    assert {video.group for video in (*parts.train, *parts.val)} == names((*parts.train, *parts.val))
    assert "nearly the same" not in capsys.readouterr().err


def test_unreadable_videos_are_listed_and_left_out(tmp_path, capsys):
    root = write_dataset(tmp_path / "data", grouped=False)
    write_sound(root / "left" / "sound.mp4")
    parts = load_parts(tiny_recipe(data__max_unreadable=0.2), root, tmp_path / "cache")
    assert [item.video.name for item in parts.unreadable] == ["left/sound.mp4"]
    assert "left/sound.mp4" not in names((*parts.train, *parts.val))
    assert f"left out: {root / 'left' / 'sound.mp4'}: not a video" in capsys.readouterr().err
    with pytest.raises(DataError, match=r"1 of 9 videos cannot be read.*sound\.mp4"):
        load_parts(tiny_recipe(), root, tmp_path / "cache")


def test_a_part_that_lacks_a_class_says_so(tmp_path, capsys):
    root = write_dataset(tmp_path / "data", groups=3)
    rows = [(f"{label}/{label}_{i}.mp4", label, f"scene-{i}") for label in LABELS for i in range(3)]
    write_pictures(root / "rare" / "only.mp4", moving_square("left", 9))
    write_groups(root, [*rows, ("rare/only.mp4", "rare", "scene-9")])
    load_parts(tiny_recipe(), root, tmp_path / "cache")
    assert "has no video of: rare (too few groups)" in capsys.readouterr().err


def test_an_unknown_background_label_is_an_error(data, cache):
    with pytest.raises(ConfigError, match="names idle, lfet; the dataset has: left, right"):
        load_parts(tiny_recipe(data__background=["lfet", "idle", "right"]), data, cache)
