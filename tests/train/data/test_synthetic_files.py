"""Files: complete, readable, the same on any number of processes, and never overwritten."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import vedette_train.data.synthetic as synthetic
from vedette_edge.errors import DataError
from vedette_train.data.synthetic import (
    LABELS,
    Timeline,
    read_timeline,
    timeline_path,
    write_dataset,
    write_timeline_video,
)
from vedette_train.data.synthetic.encode import write_video

SIZE = (96, 72)


def read_frames(path: Path) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (found := capture.read())[0]:
        frames.append(found[1])
    capture.release()
    return frames


def read_groups(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("clips") / "new" / "folder"
    return write_dataset(out, clips_per_class=2, seconds=0.8, seed=5, size=SIZE, fps=10.0)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Timeline]:
    path = tmp_path_factory.mktemp("video") / "camera.mp4"
    return path, write_timeline_video(path, seconds=41.0, seed=2, size=SIZE, fps=5.0)


def test_the_public_surface_is_exactly_this() -> None:
    functions = ["read_timeline", "timeline_path", "write_dataset", "write_timeline_video"]
    assert sorted(synthetic.__all__) == ["Action", "LABELS", "Timeline", *functions]
    assert LABELS[0] == "idle"
    assert len(set(LABELS)) == 6


def test_every_label_has_its_folder_of_clips(dataset: Path) -> None:
    for label in LABELS:
        names = sorted(path.name for path in (dataset.parent / label).iterdir())
        takes = ("", "b") if label == "idle" else ("",)
        assert names == [f"{label}_{group:04d}{take}.mp4" for group in (1, 2) for take in takes]


def test_groups_list_every_clip_once_and_hold_every_label(dataset: Path) -> None:
    rows = read_groups(dataset)
    assert {row["path"] for row in rows} == {
        path.relative_to(dataset.parent).as_posix() for path in dataset.parent.glob("*/*.mp4")
    }
    assert all(row["path"].startswith(f"{row['label']}/") for row in rows)
    counts = Counter((row["group"], row["label"]) for row in rows)
    assert all(count == (2 if label == "idle" else 1) for (_, label), count in counts.items())
    assert len({row["group"] for row in rows}) == 2


def test_clips_read_back_with_the_frames_and_size_asked_for(dataset: Path) -> None:
    for path in dataset.parent.glob("*/*.mp4"):
        capture = cv2.VideoCapture(str(path))
        fps = capture.get(cv2.CAP_PROP_FPS)
        capture.release()
        frames = read_frames(path)
        assert fps == pytest.approx(10, rel=0.21)
        assert len(frames) == round(0.8 * fps)
        assert frames[0].shape == (SIZE[1], SIZE[0], 3)


def test_nothing_unfinished_is_left_behind(dataset: Path) -> None:
    assert not [path for path in dataset.parent.rglob("*") if "partial" in path.name]


def test_clips_of_a_group_share_the_place(dataset: Path) -> None:
    def corner(label: str, number: int) -> np.ndarray:
        frame = read_frames(dataset.parent / label / f"{label}_000{number}.mp4")[0].astype(np.float64)
        grey = frame.mean(axis=2)[:24]  # the top of the wall: no figure reaches it often
        return np.asarray((grey - grey.mean()) / (grey.std() + 1e-6))

    same = [np.mean(corner("idle", n) * corner("push_up", n)) for n in (1, 2)]
    other = [np.mean(corner("idle", n) * corner("push_up", 3 - n)) for n in (1, 2)]
    assert min(same) > 0.5 > max(other)


def test_the_number_of_workers_does_not_matter(dataset: Path, tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    again = write_dataset(
        tmp_path / "again",
        clips_per_class=2,
        seconds=0.8,
        seed=5,
        size=SIZE,
        fps=10.0,
        workers=2,
        on_progress=lambda *count: done.append(count),
    )
    assert again.read_bytes() == dataset.read_bytes()
    assert done == [(count, 14) for count in range(1, 15)]
    for row in read_groups(dataset):
        ours, theirs = read_frames(dataset.parent / row["path"]), read_frames(again.parent / row["path"])
        assert np.array_equal(ours, theirs)


def test_a_folder_that_is_not_empty_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(DataError, match="not an empty folder"):
        write_dataset(tmp_path, clips_per_class=1, size=SIZE)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": (97, 72)}, "even"),
        ({"size": (16, 16)}, "at least 32"),
        ({"seconds": 0.0}, "more than 0 s"),
        ({"fps": 0.5}, "1 to 240 fps"),
        ({"clips_per_class": 0}, "clips_per_class"),
        ({"workers": 0}, "workers"),
        ({"seed": -1}, "0 or more"),
    ],
)
def test_impossible_requests_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        write_dataset(tmp_path / "out", **{"clips_per_class": 1, "size": SIZE, **change})
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot make the folder"):
        write_dataset(tmp_path / "file" / "out", clips_per_class=1, size=SIZE)


def test_a_table_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.timeline.json").mkdir()
    with pytest.raises(DataError, match=r"cannot write .*a\.timeline\.json"):
        write_timeline_video(tmp_path / "a.mp4", seconds=1.0, size=SIZE, fps=4.0)


@pytest.mark.parametrize("fps", [7.5, 12.34567, 23.976, 29.97, 60.0])
def test_odd_frame_rates_are_kept(tmp_path: Path, fps: float) -> None:
    frames = [np.full((72, 96, 3), 20 * index, np.uint8) for index in range(8)]
    write_video(tmp_path / "a.mp4", frames, size=SIZE, fps=fps)
    capture = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(fps, rel=0.01)
    capture.release()


def test_a_video_needs_a_name_that_ends_in_mp4(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"end in \.mp4"):
        write_timeline_video(tmp_path / "video.avi", seconds=1.0, size=SIZE)


def test_a_video_that_does_not_read_back_is_refused(tmp_path: Path) -> None:
    wrong = np.zeros((10, 10, 3), np.uint8)  # the writer silently drops frames of another size
    with pytest.raises(DataError, match="reads back with 0 frames instead of 1"):
        write_video(tmp_path / "video.mp4", [wrong], size=SIZE, fps=10.0)
    assert not list(tmp_path.iterdir())


def test_a_video_in_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does the folder exist"):
        write_video(tmp_path / "nowhere" / "video.mp4", [], size=SIZE, fps=10.0)


def test_the_timeline_belongs_to_its_video(video: tuple[Path, Timeline]) -> None:
    path, timeline = video
    frames = read_frames(path)
    assert (timeline.video, timeline.fps, timeline.width, timeline.height) == ("camera.mp4", 5.0, *SIZE)
    assert timeline.frames == len(frames) == len(timeline.figure) == 205


def test_a_timeline_reads_back_as_it_was_written(video: tuple[Path, Timeline]) -> None:
    path, timeline = video
    assert timeline_path(path).name == "camera.timeline.json"
    assert read_timeline(timeline_path(path)) == timeline


def test_all_exercises_appear_in_order_with_idling_between(video: tuple[Path, Timeline]) -> None:
    _, timeline = video
    assert {action.label for action in timeline.actions} == set(LABELS) - {"idle"}
    pauses = [b.start - a.end for a, b in zip(timeline.actions, timeline.actions[1:], strict=False)]
    assert timeline.actions[0].start >= 2.4
    assert min(pauses) >= 2.4
    assert all(4.9 <= action.end - action.start <= 8.1 for action in timeline.actions)
    assert timeline.actions[-1].end <= 41.0


def test_the_figure_is_low_and_wide_during_push_ups_only(video: tuple[Path, Timeline]) -> None:
    _, timeline = video
    (low,) = (action for action in timeline.actions if action.label == "push_up")
    shape = np.array([height / width for _, _, width, height in timeline.figure]) * SIZE[1] / SIZE[0]
    seconds = np.arange(timeline.frames) / timeline.fps
    lying = (seconds > low.start + 0.3) & (seconds < low.end - 0.3)
    assert shape[lying].max() < 1.2 * shape[~lying].min() or shape[lying].max() < 1.0


def test_progress_counts_the_frames_of_a_video(tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    write_timeline_video(
        tmp_path / "a.mp4", seconds=1.0, size=SIZE, fps=4.0, on_progress=lambda *n: done.append(n)
    )
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]


def timeline_json(**change: object) -> str:
    figure = [[0.1, 0.1, 0.2, 0.5]] * 10
    actions = [{"label": "squat", "start": 0.2, "end": 0.6}]
    good = {"video": "a.mp4", "fps": 10, "width": 96, "height": 72, "frames": 10}
    return json.dumps({**good, "actions": actions, "figure": figure, **change})


def test_a_good_timeline_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(timeline_json())
    assert read_timeline(tmp_path / "a.json").actions[0].label == "squat"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", "the file: Invalid JSON"),
        (timeline_json(fps=0), "fps: Input should be greater than 0"),
        (timeline_json(colour="red"), "colour: Extra inputs"),
        (timeline_json(frames=9), "there are 9 frames but 10 boxes"),
        (timeline_json(figure=[[0, 0, 2, 1]] * 10), r"figure\.0\.2"),
        (timeline_json(actions=[{"label": "squat", "start": 0.2, "end": 5.0}]), "leaves the video"),
        (timeline_json(actions=[{"label": "squat", "start": 0.4, "end": 0.3}]), "squat from 0.4 to 0.3"),
        (timeline_json(actions=[{"label": "wave", "start": 0.1, "end": 0.5}] * 2), "overlaps"),
    ],
)
def test_a_bad_timeline_is_refused_with_its_reason(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_timeline(tmp_path / "bad.json")
    assert "bad.json" in str(caught.value)


def test_a_missing_timeline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read the timeline .*missing\.json"):
        read_timeline(tmp_path / "missing.json")
