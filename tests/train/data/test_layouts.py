"""What a folder is taken for, and what is suggested to one who names the wrong folder."""

import pytest

from vedette_edge.errors import DataError
from vedette_train.data.folder import fingerprint, scan, stamp
from vedette_train.data.layouts import nested_roots, part_folders, source_group, videos_in


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


@pytest.fixture
def frames(tmp_path):
    """Two classes of videos as folders of pictures, and one plain file."""
    names = [f"{c}/{v}/frame_{i}.jpg" for c in ("run", "walk") for v in ("a", "b") for i in (1, 2, 10)]
    return touch(tmp_path / "data", *names, "run/c.avi", "run/notes/readme.txt")


def test_a_folder_of_pictures_is_a_video(frames):
    found = scan(frames)
    assert [video.name for video in found.videos] == ["run/a", "run/b", "run/c.avi", "walk/a", "walk/b"]


def test_a_folder_of_pictures_has_the_size_and_age_of_its_pictures(frames):
    folder = frames / "run" / "a"
    size, changed = stamp(folder)
    assert size == sum(path.stat().st_size for path in folder.iterdir())
    before = fingerprint(scan(frames))
    (folder / "frame_2.jpg").write_bytes(b"another picture, longer than before")
    assert stamp(folder)[0] > size
    assert stamp(folder)[1] >= changed
    assert fingerprint(scan(frames)) != before
    with pytest.raises(FileNotFoundError):
        stamp(frames / "gone")


@pytest.mark.parametrize(
    ("names", "root", "sentence"),
    [
        (["data/run/a.mp4", "data/walk/b.mp4"], ".", r"found 1 \(data\); did you mean .*/data\?"),
        (["data/run/a.mp4", "data/walk/b.mp4"], "dta", r"no such folder; .*; did you mean .*/data\?"),
        (["data/run/a.mp4", "data/walk/b.mp4"], "elsewhere", r"no such folder; .*its videos$"),
        (["data/run/a.mp4", "data/walk/b.mp4"], "data/run", r"so it is a class: did you mean .*/data\?"),
        (["data/run/a/1.jpg", "data/walk/b/1.jpg"], "data/run", r"so it is a class: did you mean .*/data\?"),
        (["train/run/a.mp4", "val/run/b.mp4"], ".", r"divided into parts: run  vedette-train data adopt "),
        (["videos/train/run/a.mp4", "videos/val/run/b.mp4"], ".", r"parts: run  vedette-train data adopt "),
        (["data/run/1.jpg", "data/walk/1.jpg"], "data", r"pictures, not videos: .*/data/run/first_video/"),
        (["data/1.jpg", "data/2.jpg"], "data", r"pictures, not videos: .*/data/first_video/frame_1\.jpg"),
        (["data/run/1.jpg", "data/walk/b.mp4"], "data", r"run: class folder without videos .*pictures, not"),
        (["data/notes.txt"], "data", r"at least two class folders with videos, found 0$"),
    ],
)
def test_the_wrong_folder_is_answered_with_the_right_one(names, root, sentence, tmp_path):
    touch(tmp_path, *names)
    with pytest.raises(DataError, match=sentence):
        scan(tmp_path / root)


def test_hidden_files_are_no_videos(tmp_path):
    touch(tmp_path, "run/._a.mp4", "run/.b/1.jpg", "run/c/.1.jpg")
    assert videos_in(tmp_path / "run") == []


def test_parts_are_known_by_several_names(tmp_path):
    touch(
        tmp_path, "Train/run/a.mp4", "valid/run/b.mp4", "testing/run/c.mp4", "other/run/d.mp4", "test/x.txt"
    )
    assert {part: p.name for part, p in part_folders(tmp_path).items()} == {
        "train": "Train",
        "val": "valid",
        "test": "testing",
    }
    assert nested_roots(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("v_PushUps_g08_c02.avi", "PushUps-g08"),
        ("v_PushUps_g08_c02", "PushUps-g08"),
        ("v_Jump_Rope_g1_c1.avi", "Jump_Rope-g1"),
        ("PushUps_g08.avi", None),
        ("fi001.mp4", None),
    ],
)
def test_the_names_of_ucf101_tell_the_source(name, group):
    assert source_group(name) == group
