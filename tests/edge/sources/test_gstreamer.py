from __future__ import annotations

import itertools
import shutil

import numpy as np
import pytest

from vedette_edge.errors import VideoError
from vedette_edge.sources.gstreamer import GStreamerSource, launch_line

needs_gstreamer = pytest.mark.skipif(
    shutil.which("gst-launch-1.0") is None, reason="gst-launch-1.0 is not installed (gstreamer1.0-tools)"
)


def go_on(_seconds):
    return False


@pytest.mark.parametrize(
    "end",
    [
        "",
        " ! appsink",
        " ! appsink drop=true max-buffers=1",
        " ! videoconvert ! video/x-raw,format=BGR",
        "! videoconvert ! video/x-raw, format=BGR ! appsink name=x",
    ],
)
def test_an_end_for_opencv_is_replaced(end):
    line = launch_line(f"videotestsrc pattern=red{end}", 7)
    assert line[:6] == ["gst-launch-1.0", "--quiet", "videotestsrc", "pattern=red", "!", "queue"]
    assert line[-2:] == ["fdsink", "fd=7"]


def test_quotes_keep_words_together_and_no_shell_sees_them():
    assert "caps=video/x-raw, width=8" in launch_line("a ! capsfilter 'caps=video/x-raw, width=8' ! b", 7)
    assert "$(reboot)" in launch_line("a $(reboot)", 7)


def test_quotes_that_do_not_match_are_one_sentence():
    with pytest.raises(VideoError, match="the pipeline cannot be read"):
        launch_line("videotestsrc 'pattern", 7)


@needs_gstreamer
@pytest.mark.parametrize(("width", "height"), [(320, 240), (322, 201)])
def test_a_pipeline_gives_its_pictures_in_their_colours_and_ends(width, height):
    frames, clock = [], itertools.count().__next__
    source = GStreamerSource(
        f"videotestsrc pattern=red num-buffers=3 ! video/x-raw,width={width},height={height} ! appsink",
        go_on,
        clock,
    )
    with pytest.raises(VideoError, match="the pipeline has ended"):
        frames.extend(source.frames())
    assert {frame.image.shape for frame in frames} == {(height // 2 * 2, width // 8 * 8, 3)}
    assert [frame.time for frame in frames] == list(range(len(frames)))
    np.testing.assert_allclose(frames[0].image.mean(axis=(0, 1)), (0, 0, 255), atol=4)


@needs_gstreamer
@pytest.mark.parametrize(
    ("pipeline", "sentence"),
    [
        ("v4l2src device=/dev/video-none", "Cannot identify device '/dev/video-none'"),
        ("nosuchelement", 'no element "nosuchelement"'),
        ("videotestsrc ! video/x-raw,format=I420 ! audioconvert", "audioconvert"),
        ("filesrc location=/nowhere.raw ! rawvideoparse", "Resource not found"),
    ],
)
def test_a_pipeline_that_fails_says_why(pipeline, sentence):
    with pytest.raises(VideoError, match="gstreamer: ") as caught:
        list(GStreamerSource(pipeline, go_on).frames())
    assert sentence.lower() in str(caught.value).lower()


@needs_gstreamer
def test_it_ends_when_told_to():
    answers = iter([False, False, True])
    source = GStreamerSource("videotestsrc is-live=true", lambda _seconds: next(answers))
    assert len(list(source.frames())) == 2


@needs_gstreamer
def test_what_elements_print_is_not_taken_for_pictures_and_blocks_nothing(monkeypatch):
    monkeypatch.setenv("GST_DEBUG", "6")  # far more than a pipe holds
    answers = iter([False] * 5 + [True])
    source = GStreamerSource(
        "fakesrc num-buffers=3 dump=true ! fakesink videotestsrc", lambda _: next(answers)
    )
    assert {frame.image.shape for frame in source.frames()} == {(240, 320, 3)}


def test_without_gstreamer_it_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(VideoError, match=r"gstreamer1\.0-tools"):
        list(GStreamerSource("videotestsrc", go_on).frames())
