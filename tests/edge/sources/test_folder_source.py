from __future__ import annotations

import logging

import cv2
import pytest
from edge_helpers import picture

from vedette_edge.errors import VideoError
from vedette_edge.sources.folder import FolderSource


def go_on(_seconds):
    return False


def write_pictures(folder, names):
    folder.mkdir()
    for number, name in enumerate(names):
        cv2.imwrite(str(folder / name), picture(number % 2 == 1, width=32 + number))
    return folder


def test_pictures_come_in_natural_order_at_their_rate(tmp_path):
    folder = write_pictures(tmp_path / "p", ["f10.png", "f2.png", "f1.png"])
    frames = list(FolderSource(str(folder), go_on, fps=4, pace="fast").frames())
    assert [frame.image.shape[1] for frame in frames] == [34, 33, 32]
    assert [frame.time for frame in frames] == [0.0, 0.25, 0.5]


def test_a_broken_picture_is_left_out_and_named_and_its_time_stays_empty(tmp_path, caplog):
    folder = write_pictures(tmp_path / "p", ["1.png", "2.png", "3.png"])
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:40])
    with caplog.at_level(logging.WARNING):
        frames = list(FolderSource(folder, go_on, fps=10, pace="fast").frames())
    assert [frame.time for frame in frames] == [0.0, 0.2]
    assert "2.png: not a picture" in caplog.text


@pytest.mark.parametrize("names", [["a.txt"], []])
def test_a_folder_without_a_readable_picture_is_a_video_error(tmp_path, names):
    folder = tmp_path / "p"
    folder.mkdir()
    for name in [*names, "broken.jpg"]:
        (folder / name).write_bytes(b"x")
    with pytest.raises(VideoError, match=r"p: no readable picture in this folder \(of 1\)"):
        list(FolderSource(folder, go_on).frames())


def test_a_folder_that_is_not_there_is_a_video_error(tmp_path):
    with pytest.raises(VideoError, match="gone: cannot read this folder"):
        list(FolderSource(tmp_path / "gone", go_on).frames())


def test_realtime_waits_for_each_picture(tmp_path):
    folder, waits = write_pictures(tmp_path / "p", ["1.png", "2.png"]), []
    source = FolderSource(folder, lambda seconds: waits.append(seconds) or False, fps=0.5, clock=lambda: 7.0)
    assert len(list(source.frames())) == 2
    assert waits == [0.0, 2.0]
