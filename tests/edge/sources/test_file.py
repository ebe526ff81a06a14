from __future__ import annotations

import pytest

from vedette_edge.errors import VideoError
from vedette_edge.sources import SOURCES, open_source
from vedette_edge.sources.file import FileSource


class Clock:
    """A clock that only pauses move."""

    def __init__(self):
        self.now = 100.0
        self.pauses = []

    def __call__(self):
        return self.now

    def pause(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds
        return False


def test_realtime_gives_each_frame_when_its_time_has_come(flash_video):
    clock, times = Clock(), []
    for frame in FileSource(flash_video, clock.pause, "realtime", clock).frames():
        times.append((frame.time, clock.now - 100.0))
    assert len(times) == 175
    assert all(shown == pytest.approx(stated) for stated, shown in times)


def test_a_late_frame_is_given_at_once_and_the_delay_does_not_add_up(flash_video):
    clock = Clock()
    source = FileSource(flash_video, clock.pause, "realtime", clock).frames()
    next(source)
    clock.now += 1.0
    frame = next(source)
    assert frame.time < 1.0
    assert clock.pauses[-1] == 0.0


def test_fast_never_waits(dark_video):
    clock = Clock()
    assert len(list(FileSource(dark_video, clock.pause, "fast", clock).frames())) == 25
    assert set(clock.pauses) == {0.0}


@pytest.mark.parametrize("pace", ["fast", "realtime"])
def test_a_source_ends_when_it_is_told_to(flash_video, pace):
    answers = iter([False, False, True])
    clock = Clock()
    assert len(list(FileSource(flash_video, lambda _seconds: next(answers), pace, clock).frames())) == 2


def test_a_missing_file_is_a_video_error(tmp_path):
    with pytest.raises(VideoError, match=r"gone\.mp4"):
        list(FileSource(tmp_path / "gone.mp4", Clock().pause).frames())


def test_the_table_opens_a_source_by_its_name(dark_video):
    assert set(SOURCES) == {"file"}
    source = open_source("file", {"path": dark_video, "pace": "fast"}, lambda _seconds: False)
    assert len(list(source.frames())) == 25
