"""Every video is looked at, and what lies on both sides of a split is found."""

import csv
import shutil

import pytest
from train_helpers import LABELS, backdrop, moving_square, write_dataset, write_groups, write_pictures

from vedette_edge.errors import DataError
from vedette_train.data.folder import scan
from vedette_train.data.inspection import inspect, look_at, refuse_leaks


def write_split(root, parts):
    path = root / "split.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "part"), *parts.items()])
    return path


def by_scene(root, part_of_scene):
    return {video.name: part_of_scene[video.name[-5]] for video in scan(root).videos}


CLEAN = {"0": "train", "1": "train", "2": "val", "3": "test"}


@pytest.fixture
def root(tmp_path):
    return write_dataset(tmp_path / "data")


def test_a_video_is_measured(tmp_path):
    look = look_at(write_pictures(tmp_path / "a.mp4", moving_square("left", 0, 12), fps=8.0))
    assert (look.frames, look.width, look.height) == (12, 64, 48)
    assert look.seconds == pytest.approx(1.5, abs=0.01)
    assert look.fps == pytest.approx(8.0, rel=0.01)


def test_a_video_of_one_picture_has_no_length(tmp_path):
    look = look_at(write_pictures(tmp_path / "a.mp4", [backdrop(0)]))
    assert (look.frames, look.seconds, look.fps) == (1, 0.0, None)


def test_a_clean_split_has_no_leak(root):
    found = inspect(scan(root), write_split(root, by_scene(root, CLEAN)), workers=1)
    assert len(found.videos) == len(found.looks) == 8
    assert found.leaks == []
    assert found.unreadable == {}
    refuse_leaks(found.leaks)


def test_a_group_in_two_parts_is_a_leak(root):
    parts = by_scene(root, CLEAN)
    parts["left/left_0.mp4"] = "test"
    found = inspect(scan(root), write_split(root, parts), workers=1)
    (leak,) = found.leaks
    assert (leak.kind, leak.name, leak.parts) == ("group", "scene-0", ("test", "train"))
    assert set(leak.videos) == {"left/left_0.mp4", "right/right_0.mp4"}
    with pytest.raises(DataError, match=r"1 sources lie in several parts.*group scene-0 in test and train"):
        refuse_leaks(found.leaks)


def test_copies_in_two_parts_are_a_leak_without_groups(tmp_path):
    root = write_dataset(tmp_path / "data", grouped=False)
    shutil.copy(root / "left/left_0.mp4", root / "left/copy_3.mp4")
    found = inspect(scan(root), write_split(root, by_scene(root, CLEAN)), workers=1)
    (leak,) = found.leaks
    assert (leak.kind, leak.parts) == ("near-duplicate", ("test", "train"))
    assert set(leak.videos) == {"left/copy_3.mp4", "left/left_0.mp4"}


def test_the_groups_in_the_names_of_ucf101_are_known(tmp_path):
    for label, scene in ((label, scene) for label in LABELS for scene in range(3)):
        name = f"{label}/v_{label}_g0{scene // 2}_c0{scene}.avi"
        write_pictures(tmp_path / name, moving_square(label, scene + 50 * LABELS.index(label)))
    names = [video.name for video in scan(tmp_path).videos]
    # The clips of group 00 of each class lie in two parts, as a random split would put them.
    parts = dict(zip(names, ["train", "val", "train"] * 2, strict=True))
    found = inspect(scan(tmp_path), write_split(tmp_path, parts), workers=1)
    assert [(leak.kind, leak.name) for leak in found.leaks] == [("group", "left-g00"), ("group", "right-g00")]


def test_unreadable_videos_are_named_and_judged_no_further(root):
    (root / "left" / "x_0.mp4").write_bytes(b"")
    write_groups(root, [(v.name, v.name.split("/")[0], v.name[-5]) for v in scan_names(root)])
    found = inspect(scan(root), write_split(root, by_scene(root, CLEAN)), workers=1)
    assert list(found.unreadable) == ["left/x_0.mp4"]
    assert len(found.looks) == 8


def scan_names(root):
    (root / "groups.csv").unlink()
    return scan(root).videos


def test_a_split_file_that_does_not_fit_is_refused(root):
    parts = by_scene(root, CLEAN) | {"left/gone.mp4": "val"}
    with pytest.raises(DataError, match=r"names left/gone\.mp4, which the dataset does not have"):
        inspect(scan(root), write_split(root, parts), workers=1)
