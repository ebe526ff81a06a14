from __future__ import annotations

from fractions import Fraction

import av
import pytest
from edge_helpers import picture, write_video

from vedette_edge.errors import VideoError
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


def test_a_file_that_is_cut_short_ends_there(tmp_path):
    avi = write_video(tmp_path / "whole.avi", (2, False), (2, True))
    cut = tmp_path / "cut.avi"
    cut.write_bytes(avi.read_bytes()[: avi.stat().st_size * 2 // 3])
    frames = list(FileSource(cut, Clock().pause, "fast").frames())
    assert 25 < len(frames) < 100
    assert frames[-1].image.shape == (48, 64, 3)


def test_a_file_without_its_index_is_a_video_error(flash_video, tmp_path):
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(flash_video.read_bytes()[: flash_video.stat().st_size // 2])
    with pytest.raises(VideoError, match=r"cut\.mp4: not a video"):
        list(FileSource(cut, Clock().pause, "fast").frames())


def write_variable(path, times):
    """Write a video with exactly these times, in milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for time in times:
            frame = av.VideoFrame.from_ndarray(picture(True), format="bgr24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_a_variable_frame_rate_is_kept_and_waited_for(tmp_path):
    times = [0, 40, 80, 600, 640, 2000, 2001]
    clock = Clock()
    frames = FileSource(write_variable(tmp_path / "v.mp4", times), clock.pause, "realtime", clock).frames()
    shown = [(frame.time, clock.now - 100.0) for frame in frames]
    assert [stated for stated, _ in shown] == pytest.approx([time / 1000 for time in times], abs=1e-3)
    assert all(at == pytest.approx(stated) for stated, at in shown)
