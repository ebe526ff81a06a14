"""Other people's layouts become a folder of classes by links, with their split, and their groups if told."""

import csv

import cv2
import pytest
from train_helpers import moving_square, write_pictures

from vedette_edge.errors import DataError, UsageError
from vedette_train.data.adopt import adopt
from vedette_train.data.folder import scan
from vedette_train.data.split import read_split_file


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def parts_of(out):
    return {row["path"]: row["part"] for row in rows(out / "split.csv")}


S1 = ("train/Fight/a.avi", "train/NonFight/b.avi", "val/Fight/a.avi", "val/NonFight/c.avi")
S5 = tuple(
    f"{kind}/{part}/{label}/v_{label}_g{group}_c01{suffix}"
    for kind, suffix in (("videos", ".avi"), ("frames", "/frame_1.jpg"))
    for label in ("PushUps", "Lunges")
    for part, group in (("train", "01"), ("train", "02"), ("val", "03"), ("test", "04"))
)


def test_train_and_val_folders_are_adopted(tmp_path):
    source, out = touch(tmp_path / "rwf", *S1), tmp_path / "out"
    videos = adopt(source, out)
    assert [video.part for video in videos] == ["train", "train", "val", "val"]
    assert parts_of(out) == {
        "Fight/train-a.avi": "train",
        "NonFight/b.avi": "train",
        "Fight/val-a.avi": "val",
        "NonFight/c.avi": "val",
    }
    # What the trainer reads of it.
    folder = scan(out)
    assert folder.labels == ("Fight", "NonFight")
    assert (out / "Fight/val-a.avi").read_bytes() == b"val/Fight/a.avi"
    split = read_split_file(out / "split.csv", [video.name for video in folder.videos])
    assert (len(split.train), len(split.val), len(split.test)) == (2, 2, 0)
    assert not (out / "groups.csv").exists()


@pytest.mark.parametrize(("frames", "suffix"), [(False, ".avi"), (True, "")])
def test_videos_and_frames_of_ucf101_are_adopted_with_their_groups(frames, suffix, tmp_path):
    out = tmp_path / "out"
    adopt(touch(tmp_path / "ufc10", *S5), out, frames=frames)
    found = scan(out)
    assert {video.name: video.group for video in found.videos} == {
        f"{label}/v_{label}_g{group}_c01{suffix}": f"{label}-g{group}"
        for label in ("PushUps", "Lunges")
        for group in ("01", "02", "03", "04")
    }
    assert sorted(parts_of(out).values()) == ["test"] * 2 + ["train"] * 4 + ["val"] * 2


def test_a_root_whose_path_has_the_word_videos_is_no_trap(tmp_path):
    out = tmp_path / "out"
    adopt(touch(tmp_path / "videos" / "frames", *S5), out, frames=True)
    assert all(video.path.is_dir() for video in scan(out).videos)


def test_the_words_of_ids_and_splits_are_understood(tmp_path):
    source = touch(tmp_path / "agh", "squat/17.mp4", "squat/18.mp4", "row/19.mp4")
    (source / "split.csv").write_text("id,split\n17,train\n18,test\n19,Validation\n")
    adopt(source, tmp_path / "out")
    assert parts_of(tmp_path / "out") == {
        "squat/17.mp4": "train",
        "squat/18.mp4": "test",
        "row/19.mp4": "val",
    }


def write_metadata(root, *lines):
    (root / "metadata").mkdir()
    (root / "metadata" / "val.csv").write_text("\n".join(["video_name,label", *lines]) + "\n")


def test_metadata_that_agrees_is_fine(tmp_path):
    source = touch(tmp_path / "ufc10", *S5)
    write_metadata(source, "v_PushUps_g03_c01,7", "v_Lunges_g03_c01,5")
    assert len(adopt(source, tmp_path / "out")) == 8


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["v_PushUps_g03_c01,7"], r"val\.csv and the folders disagree about 1 videos: v_Lunges_g03_c01"),
        (
            ["v_PushUps_g03_c01,7", "v_Lunges_g03_c01,5", "v_Lunges_g09_c01,5"],
            r"disagree about 1 videos: v_Lunges_g09_c01",
        ),
    ],
)
def test_metadata_that_disagrees_is_refused(lines, sentence, tmp_path):
    source = touch(tmp_path / "ufc10", *S5)
    write_metadata(source, *lines)
    with pytest.raises(DataError, match=sentence):
        adopt(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_metadata_with_two_labels_for_a_folder_is_refused(tmp_path):
    source = touch(tmp_path / "ufc10", *S5, "videos/val/Lunges/v_Lunges_g07_c01.avi")
    write_metadata(source, "v_PushUps_g03_c01,7", "v_Lunges_g03_c01,5", "v_Lunges_g07_c01,6")
    with pytest.raises(DataError, match=r"gives the videos of one class folder several labels"):
        adopt(source, tmp_path / "out")


@pytest.mark.parametrize(
    ("names", "table", "sentence"),
    [
        (["notes.txt"], None, r"the layout is not known; found notes\.txt; expected \{train,val,test\}"),
        ([], None, r"no such folder; expected \{train,val,test\}"),
        (["a/1.mp4", "b/2.mp4"], "id,split\n1,train\n", r"split\.csv has no row for b/2\.mp4"),
        (["a/1.mp4", "b/2.mp4"], "id,split\n1,train\n2,later\n", r"split\.csv, line 3: expected columns"),
        (["a/1.mp4", "b/2.mp4"], "\xff\xfe", r"split\.csv, line|has no row"),
    ],
)
def test_another_layout_is_refused_with_what_was_found_and_expected(names, table, sentence, tmp_path):
    source = touch(tmp_path / "source", *names)
    if table:
        (source / "split.csv").write_text(table)
    with pytest.raises(DataError, match=sentence):
        adopt(source, tmp_path / "out")


def test_a_folder_in_use_is_left_alone(tmp_path):
    source, out = touch(tmp_path / "rwf", *S1), touch(tmp_path / "out", "mine.txt")
    with pytest.raises(UsageError, match=r"out is not empty; --out is a new folder"):
        adopt(source, out)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]


def test_what_is_adopted_trains(tmp_path, cache):
    from train_helpers import tiny_recipe

    from vedette_train.data.parts import load_parts

    source = tmp_path / "set"
    for scene, part in enumerate(("train", "train", "val", "val", "test", "test")):
        for label in ("left", "right"):
            write_pictures(source / part / label / f"{scene}.mp4", moving_square(label, scene + 50))
    adopt(source, tmp_path / "out")
    recipe = tiny_recipe(data__split_file="split.csv")
    parts = load_parts(recipe, tmp_path / "out", cache)
    assert [len(part) for part in (parts.train, parts.val, parts.test)] == [4, 4, 4]


def test_folders_of_pictures_are_trained_on_and_judged(tmp_path, cache):
    from train_helpers import tiny_recipe

    from vedette_train.fit import fit

    for scene, part in enumerate(("train", "train", "val", "test")):
        for label in ("left", "right"):
            folder = tmp_path / "set" / part / label / f"clip-{scene}"
            folder.mkdir(parents=True)
            for number, picture in enumerate(moving_square(label, scene + 70, 6), start=1):
                assert cv2.imwrite(str(folder / f"frame_{number}.jpg"), picture)
    adopt(tmp_path / "set", tmp_path / "out")
    recipe = tiny_recipe(data__split_file="split.csv", train__epochs=1)
    run = fit(recipe, tmp_path / "out", tmp_path / "run", cache=cache)
    predicted = {row["video"] for row in rows(run.directory / "predictions.csv")}
    assert predicted == {"left/clip-3", "right/clip-3"}
