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
    "sink", ["", " ! appsink", " ! appsink drop=true max-buffers=1", " ! videoconvert ! appsink name=x"]
)
def test_a_sink_at_the_end_is_replaced(sink):
    line = launch_line(f"videotestsrc pattern=red{sink}")
    assert "appsink" not in line
    assert line[:4] == ["gst-launch-1.0", "--quiet", "videotestsrc", "pattern=red"]
    assert line[-1] == "fdsink"


def test_quotes_keep_words_together_and_no_shell_sees_them():
    assert "caps=video/x-raw, format=I420" in launch_line(
        "a ! capsfilter 'caps=video/x-raw, format=I420' ! b"
    )
    assert "$(reboot)" in launch_line("a $(reboot)")


def test_quotes_that_do_not_match_are_one_sentence():
    with pytest.raises(VideoError, match="the pipeline cannot be read"):
        launch_line("videotestsrc 'pattern")


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
def test_it_ends_when_told_to_and_its_program_with_it():
    answers = iter([False, False, True])
    source = GStreamerSource("videotestsrc is-live=true", lambda _seconds: next(answers))
    assert len(list(source.frames())) == 2


def test_without_gstreamer_it_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(VideoError, match=r"gstreamer1\.0-tools"):
        list(GStreamerSource("videotestsrc", go_on).frames())
