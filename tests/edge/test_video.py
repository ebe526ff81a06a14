from __future__ import annotations

from fractions import Fraction

import av
import pytest
from edge_helpers import picture, write_video

from vedette_edge.errors import VideoError
from vedette_edge.video import read_frames


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
