"""The videos that a report is about."""

import cv2
import numpy as np
import pytest
from train_helpers import moving_square, write_pictures

from vedette_edge.errors import DataError, UsageError
from vedette_edge.video import read_frames
from vedette_train.explain.subjects import find_subjects, for_each, make_out, part_subjects, refuse_bad

SAMPLES = [("left/left_0.mp4", "left", "scene-0"), ("right/right_3.mp4", "right", "scene-3")]


def test_folders_are_searched_and_the_label_is_the_name_of_the_folder(run, data, tmp_path):
    loose = write_pictures(tmp_path / "door.mp4", moving_square("left", 0, 2))
    (tmp_path / "notes.txt").write_text("no video")
    subjects = find_subjects([data, tmp_path, data / "left" / "left_0.mp4"], run)
    assert [(s.name, s.stem, s.truth) for s in subjects[:2]] == [
        ("left/left_0.mp4", "left_left_0", "left"),
        ("left/left_1.mp4", "left_left_1", "left"),
    ]
    assert len(subjects) == 10
    assert (subjects[8].path, subjects[8].name, subjects[8].truth) == (loose, "door.mp4", None)
    assert (subjects[9].name, subjects[9].stem) == ("left/left_0.mp4", "left_left_0-2")
    assert len({subject.stem for subject in subjects}) == 10


def test_videos_of_the_runs_dataset_have_their_group(new_run, data):
    subjects = find_subjects([data / "right"], new_run(SAMPLES))
    assert {s.name: s.group for s in subjects}["right_3.mp4"] == "scene-3"
    assert {s.name: s.group for s in subjects}["right_1.mp4"] == "right_1.mp4"
    assert {s.name: s.part for s in subjects if s.part} == {"right_3.mp4": "val"}


def test_a_folder_of_pictures_is_a_video(run, tmp_path):
    (tmp_path / "right" / "walk").mkdir(parents=True)
    for number in range(3):
        cv2.imwrite(str(tmp_path / "right" / "walk" / f"{number}.png"), np.zeros((8, 8, 3), np.uint8))
    (subject,) = find_subjects([tmp_path / "right" / "walk"], run)
    assert (subject.name, subject.truth) == ("walk", "right")


def test_an_empty_folder_is_refused(run, tmp_path):
    with pytest.raises(DataError, match="no video in this folder"):
        find_subjects([tmp_path], run)


def test_a_part_of_the_dataset_is_listed_with_its_labels(new_run, data, tmp_path):
    run = new_run(SAMPLES)
    subjects = part_subjects(run, "val")
    assert [(s.path, s.truth, s.group, s.part) for s in subjects] == [
        (data / name, label, group, "val") for name, label, group in SAMPLES
    ]
    for part in ("train", "validation"):
        with pytest.raises(UsageError, match=f"has no videos of part '{part}'; it has: val"):
            part_subjects(run, part)
    with pytest.raises(DataError, match="say where it is with --data DIR"):
        part_subjects(run, "val", tmp_path / "gone")


def test_a_bad_video_is_named_and_the_rest_goes_on(run, data, tmp_path, capsys):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"nothing")
    subjects = find_subjects([bad, tmp_path / "gone.mp4", data / "left" / "left_0.mp4"], run)
    read = []

    def work(subject, on_progress):
        read.append((subject.name, len(list(read_frames(subject.path)))))
        on_progress(1, 1)

    left_out = for_each(subjects, "read", work)
    assert [subject.name for subject in left_out] == ["bad.mp4", "gone.mp4"]
    assert read == [("left/left_0.mp4", 12)]
    assert "bad.mp4: not a video" in capsys.readouterr().err
    with pytest.raises(DataError, match=r"2 of 3 videos could not be read.*: bad\.mp4, gone\.mp4; repair"):
        refuse_bad(left_out, 3)
    with pytest.raises(DataError, match="and 7 more"):
        refuse_bad(left_out * 6, 12)
    refuse_bad([], 3)


def test_a_report_never_replaces_the_videos_that_it_is_about(run, data, tmp_path):
    subjects = find_subjects([data / "left"], run)
    with pytest.raises(UsageError, match=r"left_0\.mp4, which a video of this report would replace"):
        make_out(data / "left", subjects)
    make_out(tmp_path / "new" / "out", subjects)
    assert (tmp_path / "new" / "out").is_dir()
