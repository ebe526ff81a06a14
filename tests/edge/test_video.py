from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from edge_helpers import picture, write_video
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette_edge.errors import VideoError
from vedette_edge.video import pictures_in, read_frames


def write_variable(path, times):
    """Write a file whose frames stand at the given milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for time in times:
            frame = av.VideoFrame.from_ndarray(picture(True), format="bgr24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_frames_come_with_their_times(tmp_path):
    frames = list(read_frames(write_video(tmp_path / "a.mp4", (1, False), (1, True))))
    assert len(frames) == 50
    assert [frame.time for frame in frames] == pytest.approx([n / 25 for n in range(50)], abs=1e-3)
    assert frames[0].image.shape == (48, 64, 3)
    assert frames[0].image.mean() < 10
    assert frames[-1].image[36:, 48:].mean() > 240


def test_a_variable_frame_rate_keeps_its_times(tmp_path):
    times = [0, 40, 200, 240, 1000, 1500]
    path = write_variable(tmp_path / "v.mkv", times)
    assert [frame.time for frame in read_frames(path)] == pytest.approx([t / 1000 for t in times], abs=2e-3)


def test_times_never_run_backwards_in_avi(tmp_path):
    path = tmp_path / "a.avi"
    write_video(path, (1, True))
    times = [frame.time for frame in read_frames(path)]
    assert times == sorted(set(times))
    assert times[-1] == pytest.approx(24 / 25, abs=0.05)


def test_a_file_that_is_cut_off_simply_ends(tmp_path):
    path = write_variable(tmp_path / "v.mkv", range(0, 4000, 40))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert 0 < len(list(read_frames(path))) < 100


@pytest.mark.parametrize("content", [b"", b"no video" * 100])
def test_what_is_no_video_is_named(tmp_path, content):
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"x\.mp4"):
        list(read_frames(path))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(VideoError, match=r"gone\.mp4: no such"):
        list(read_frames(tmp_path / "gone.mp4"))


def write_pictures(folder, *pictures):
    folder.mkdir()
    for number, image in enumerate(pictures, start=1):
        assert cv2.imwrite(str(folder / f"frame_{number}.png"), image)
    return folder


def shade(value, height=48, width=64):
    return np.full((height, width, 3), value, np.uint8)


def test_a_folder_of_pictures_is_read_in_natural_order(tmp_path):
    folder = write_pictures(tmp_path / "clip", *(shade(10 * n) for n in range(1, 13)))
    frames = list(read_frames(folder, 8.0))
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [10 * n for n in range(1, 13)]
    assert [frame.time for frame in frames] == pytest.approx([n / 8.0 for n in range(12)])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 3000), min_size=1, unique=True), st.sampled_from(["frame_", "f", "", "a1-"]))
def test_numbers_in_names_count_as_numbers(tmp_path_factory, numbers, prefix):
    folder = tmp_path_factory.mktemp("clip")
    for number in numbers:
        (folder / f"{prefix}{number}.jpg").touch()
    assert [path.name for path in pictures_in(folder)] == [f"{prefix}{n}.jpg" for n in sorted(numbers)]


def test_only_pictures_are_read(tmp_path):
    folder = write_pictures(tmp_path / "clip", shade(10))
    for name in ("notes.txt", ".frame_0.png", "frame_2.mp4"):
        (folder / name).write_bytes(b"")
    assert len(list(read_frames(folder))) == 1


def test_grey_deep_transparent_and_differently_sized_pictures_become_eight_bit_bgr(tmp_path):
    grey = np.full((48, 64), 100, np.uint8)
    deep = np.full((48, 64), 100 * 257, np.uint16)
    deep_colour = np.full((30, 20, 3), 100 * 257, np.uint16)
    clear = np.full((10, 90, 4), 100, np.uint8)
    frames = list(read_frames(write_pictures(tmp_path / "clip", grey, deep, deep_colour, clear)))
    assert [frame.image.shape for frame in frames] == [(48, 64, 3), (48, 64, 3), (30, 20, 3), (10, 90, 3)]
    for frame in frames:
        assert frame.image.dtype == np.uint8
        assert np.all(np.abs(frame.image.astype(int) - 100) <= 1)


@pytest.mark.parametrize("content", [b"", b"no picture" * 100])
def test_a_picture_that_cannot_be_read_is_named(tmp_path, content):
    folder = write_pictures(tmp_path / "clip", shade(10), shade(20))
    (folder / "frame_2.png").write_bytes(content)
    with pytest.raises(VideoError, match=r"frame_2\.png: not a picture"):
        list(read_frames(folder))


def test_a_folder_without_pictures_is_named(tmp_path):
    (tmp_path / "clip").mkdir()
    with pytest.raises(VideoError, match=r"clip: no pictures \(.*\.png.*\) in this folder"):
        list(read_frames(tmp_path / "clip"))
