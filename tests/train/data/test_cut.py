"""Recordings are cut where the label changes, and nowhere else."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from train_helpers import moving_square, write_pictures

from vedette_edge.errors import DataError
from vedette_edge.video import read_frames
from vedette_train.data.adopt import adopt
from vedette_train.data.cut import Run, cut, label_runs, read_labels
from vedette_train.data.folder import scan

SHADES = {"1": 60, "2": 200, "-1": 120}


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def record(root, name, labels, frames=None):
    """A recording whose pictures show their label as a shade of grey."""
    shades = [SHADES[label] for label in labels][:frames]
    pictures = [np.full((48, 64, 3), shade, np.uint8) for shade in shades]
    write_pictures(root / "dataset" / "anon" / f"{name}.mp4", pictures, fps=30.0)
    (root / "labels").mkdir(exist_ok=True)
    lines = [f"{number},x,{label}" for number, label in enumerate(labels, start=1)]
    (root / "labels" / f"{name}.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "recordings"
    record(root, "17", "1111" + "22222" + "1" + "22")
    record(root, "18", ["-1"] * 6 + ["1"] * 4)
    (root / "split.csv").write_text("id,split\n17,train\n18,test\n")
    return root


def test_clips_are_the_runs_of_a_label(source, tmp_path):
    out = tmp_path / "out"
    parts, unreadable = cut(source, out, least=4, workers=1)
    assert parts == {
        "1/17_000001.mp4": "train",
        "2/17_000005.mp4": "train",
        "-1/18_000001.mp4": "test",
        "1/18_000007.mp4": "test",
    }
    assert unreadable == {}
    assert {video.name: video.group for video in scan(out).videos} == {name: name[-13:-11] for name in parts}
    assert {row["path"]: row["part"] for row in rows(out / "split.csv")} == parts
    for name in parts:
        frames = list(read_frames(out / name))
        assert len(frames) == {"1": 4, "2": 5, "-1": 6}[name.split("/")[0]]
        assert frames[-1].time == pytest.approx((len(frames) - 1) / 30.0, abs=0.01)
        for frame in frames:
            assert abs(frame.image.mean() - SHADES[name.split("/")[0]]) < 12


def test_cutting_again_writes_nothing_new(source, tmp_path):
    out = tmp_path / "out"
    first = cut(source, out, least=4, workers=1)
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/*.mp4")}
    next(iter(before)).unlink()
    assert cut(source, out, least=4, workers=1) == first
    changed = [path for path, time in before.items() if path.stat().st_mtime_ns != time]
    assert changed == [next(iter(before))]


def test_a_recording_that_ends_before_its_labels_gives_what_it_has(source, tmp_path):
    record(source, "18", ["-1"] * 6 + ["1"] * 4, frames=6)
    parts, _ = cut(source, tmp_path / "out", least=4, workers=1)
    assert [name for name in parts if "18_" in name] == ["-1/18_000001.mp4"]


def test_an_unreadable_recording_is_left_out(source, tmp_path):
    (source / "dataset" / "anon" / "18.mp4").write_bytes(b"")
    parts, unreadable = cut(source, tmp_path / "out", least=4, workers=1)
    assert len(parts) == 2
    assert "18.mp4: not a video" in unreadable["18"]


def test_other_videos_of_the_same_recordings_can_be_cut(source, tmp_path):
    masks = tmp_path / "masks"
    write_pictures(masks / "17.mp4", moving_square("left", 0, 12), fps=30.0)
    (source / "split.csv").write_text("id,split\n17,train\n")
    parts, _ = cut(source, tmp_path / "out", videos=masks, least=4, workers=1)
    assert len(parts) == 2


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda root: (root / "split.csv").unlink(), r"split\.csv: cannot be read"),
        (
            lambda root: (root / "split.csv").write_text("id,split\n17,later\n"),
            r"split\.csv, line 2: expected",
        ),
        (lambda root: (root / "split.csv").write_text("id,split\n../17,train\n"), r"the id '\.\./17' cannot"),
        (lambda root: (root / "labels/17.csv").write_text("1,x,..\n"), r"17\.csv, line 1: expected a frame"),
        (lambda root: (root / "labels" / "17.csv").unlink(), r"names 17, but there is no .*labels/17\.csv"),
        (lambda root: (root / "dataset/anon/17.mp4").unlink(), r"names 17, but there is no .*anon/17\.mp4"),
        (lambda root: (root / "labels/17.csv").write_text("1,1\n"), r"17\.csv, line 1: expected a frame"),
        (lambda root: (root / "labels/17.csv").write_text("0,x,1\n"), r"17\.csv, line 1: expected a frame"),
        (
            lambda root: (root / "labels/17.csv").write_text("1,x,../..\n"),
            r"17\.csv, line 1: expected a frame",
        ),
        (lambda root: (root / "labels/17.csv").write_text("frame,x,label\n"), r"17\.csv, line 1: expected"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(spoil, sentence, source, tmp_path):
    spoil(source)
    with pytest.raises(DataError, match=sentence):
        cut(source, tmp_path / "out", least=4, workers=1)


def test_labels_that_never_last_are_an_error(source, tmp_path):
    with pytest.raises(DataError, match="no label lasts for 50 frames"):
        cut(source, tmp_path / "out", least=50, workers=1)


def test_adopting_recordings_names_the_command_that_cuts_them(source, tmp_path):
    with pytest.raises(DataError, match=r"run  vedette-train data cut .*recordings --out DIR"):
        adopt(source, tmp_path / "out")


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from("ab")), max_size=20), st.integers(1, 4))
def test_runs_cover_each_long_stretch_once_and_hold_one_label(steps, least):
    """Steps of more than 1 are frames without a label."""
    frame, labels = 0, {}
    for step, label in steps:
        frame += step
        labels[frame] = label
    runs = label_runs(labels.items(), least)
    covered = [number for run in runs for number in range(run.first, run.last + 1)]
    assert len(covered) == len(set(covered))
    for run in runs:
        assert run.length >= least
        assert all(labels[number] == run.label for number in range(run.first, run.last + 1))
        # It could not be longer.
        assert labels.get(run.first - 1) != run.label
        assert labels.get(run.last + 1) != run.label
    everything = label_runs(labels.items(), 1)
    assert sum(run.length for run in everything) == len(labels)


def test_spaces_and_a_mark_of_byte_order_are_no_trap(tmp_path):
    (tmp_path / "a.csv").write_bytes("\ufeff1, 0 , 3\n2,0,3\n".encode())
    assert label_runs(read_labels(tmp_path / "a.csv"), 1) == [Run("3", 1, 2)]
