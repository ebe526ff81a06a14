"""From a folder to three parts: what is left out, grouped or lacking is said."""

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
    assert {name: len(videos) for name, videos in parts.by_name.items()} == {"train": 4, "val": 2, "test": 2}
    assert len({video.group for videos in parts.by_name.values() for video in videos}) == 4
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
        (together,) = (part for part in map(names, parts.by_name.values()) if copies[0] in part)
        assert together >= set(copies)
    printed = capsys.readouterr().err
    assert "this dataset has no groups.csv" in printed
    assert "nearly the same, kept on one side: left/copy.mp4, left/left_0.mp4, right/again.mp4" in printed
    assert printed.count("nearly the same") == 6


def test_without_groups_and_copies_every_video_is_its_own_group(tmp_path, capsys):
    root = write_dataset(tmp_path / "data", grouped=False)
    parts = load_parts(tiny_recipe(), root, tmp_path / "cache")
    videos = (*parts.train, *parts.val, *parts.test)
    assert {video.group for video in videos} == names(videos)
    assert "nearly the same" not in capsys.readouterr().err


def test_unreadable_videos_are_listed_and_left_out(tmp_path, capsys):
    root = write_dataset(tmp_path / "data", grouped=False)
    write_sound(root / "left" / "sound.mp4")
    parts = load_parts(tiny_recipe(data__max_unreadable=0.2), root, tmp_path / "cache")
    assert [item.video.name for item in parts.unreadable] == ["left/sound.mp4"]
    assert "left/sound.mp4" not in names((*parts.train, *parts.val, *parts.test))
    assert f"left out: {root / 'left' / 'sound.mp4'}: not a video" in capsys.readouterr().err
    with pytest.raises(DataError, match=r"1 of 9 videos cannot be read.*sound\.mp4"):
        load_parts(tiny_recipe(), root, tmp_path / "cache")


def test_a_part_that_lacks_a_class_says_so(tmp_path, capsys):
    root = write_dataset(tmp_path / "data", groups=3)
    rows = [(f"{label}/{label}_{i}.mp4", label, f"scene-{i}") for label in LABELS for i in range(3)]
    write_pictures(root / "rare" / "only.mp4", moving_square("left", 9))
    write_groups(root, [*rows, ("rare/only.mp4", "rare", "scene-9")])
    load_parts(tiny_recipe(data__folds=3), root, tmp_path / "cache")
    assert "has no video of: rare (too few groups)" in capsys.readouterr().err


def write_split(path, rows):
    path.write_text("path,part\n" + "".join(f"{name},{part}\n" for name, part in rows.items()))
    return path


def of_scenes(*parts):
    """Put scene after scene into a part."""
    return {f"{label}/{label}_{scene}.mp4": part for label in LABELS for scene, part in enumerate(parts)}


@pytest.mark.parametrize("beside_the_data", [False, True])
def test_a_split_file_decides_instead_of_the_deal(beside_the_data, tmp_path, capsys):
    root = write_dataset(tmp_path / "data")
    path = write_split(
        (root if beside_the_data else tmp_path) / "split.csv", of_scenes("val", "train", "train", "test")
    )
    recipe = tiny_recipe(data__split_file="split.csv" if beside_the_data else str(path))
    parts = load_parts(recipe, root, tmp_path / "cache")
    assert {name: sorted({video.group for video in videos}) for name, videos in parts.by_name.items()} == {
        "train": ["scene-1", "scene-2"],
        "val": ["scene-0"],
        "test": ["scene-3"],
    }
    assert "on both sides" not in capsys.readouterr().err


def test_a_split_file_that_divides_groups_is_followed_and_they_are_named(data, cache, tmp_path, capsys):
    rows = of_scenes("train", "train", "val", "test") | {
        "left/left_3.mp4": "train",
        "right/right_1.mp4": "val",
    }
    path = write_split(tmp_path / "split.csv", rows)
    load_parts(tiny_recipe(data__split_file=str(path)), data, cache)
    printed = capsys.readouterr().err
    assert "puts 2 groups into training and also into a held-out part" in printed
    assert "will flatter: scene-1, scene-3" in printed


def test_a_split_file_without_validation_needs_a_recipe_that_chooses_nothing(data, cache, tmp_path):
    path = write_split(tmp_path / "split.csv", of_scenes("train", "train", "train", "test"))
    with pytest.raises(DataError, match=r"split\.csv has no readable video of part val, so no epoch"):
        load_parts(tiny_recipe(data__split_file=str(path)), data, cache)
    parts = load_parts(tiny_recipe(data__split_file=str(path), train__keep="last"), data, cache)
    assert parts.val == []


def test_an_unknown_background_label_is_an_error(data, cache):
    with pytest.raises(ConfigError, match="names idle, lfet; the dataset has: left, right"):
        load_parts(tiny_recipe(data__background=["lfet", "idle", "right"]), data, cache)
