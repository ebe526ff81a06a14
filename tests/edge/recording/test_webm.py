from __future__ import annotations

import io
import itertools

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette_edge.recording.webm import WebmWriter, vp8_of
from vedette_edge.stills import encode
from vedette_edge.video import read_frames

LIGHTS = [40, 120, 200]


def picture(light, width=96, height=64):
    image = np.full((height, width, 3), light, np.uint8)
    image[height // 2 :, width // 2 :] = (0, 0, 255)
    return image


def key_frame(light=100, **size):
    return vp8_of(encode(picture(light, **size), to="webp", quality=80).data)


def video(times, width=96, height=64):
    file = io.BytesIO()
    writer = WebmWriter(file, width, height)
    for time, light in zip(times, itertools.cycle(LIGHTS)):
        writer.write(time, key_frame(light, width=width, height=height))
    writer.finish()
    return file


def packets(file):
    file.seek(0)
    with av.open(file) as container:
        return [(float(p.pts * p.time_base), p.is_keyframe) for p in container.demux(video=0) if p.size]


def test_every_frame_keeps_its_own_time():
    times = [0.0, 0.04, 0.2, 0.21, 1.7, 1.75, 40.0]
    assert packets(video(times)) == [(time, True) for time in times]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 5000), max_size=30))
def test_any_times_that_rise_are_read_back(gaps):
    times = [sum(gaps[:n]) / 1000 for n in range(len(gaps) + 1)]
    assert [time for time, _ in packets(video(times))] == pytest.approx(times, abs=1e-6)


def test_ffmpeg_reads_what_was_shown(tmp_path):
    path = tmp_path / "clip.webm"
    path.write_bytes(video([0.0, 0.1, 0.35]).getvalue())
    frames = list(read_frames(path))
    assert [frame.time for frame in frames] == pytest.approx([0.0, 0.1, 0.35])
    for frame, light in zip(frames, LIGHTS, strict=True):
        difference = cv2.absdiff(frame.image, picture(light))
        assert difference.mean() < 4


def test_the_header_tells_what_is_inside():
    file = video([0.0, 0.5, 1.5], width=97, height=63)
    file.seek(0)
    with av.open(file) as container:
        stream = container.streams.video[0]
        assert (container.format.name, stream.codec_context.name) == ("matroska,webm", "vp8")
        assert (stream.width, stream.height) == (97, 63)
        assert container.duration / av.time_base == 2.5  # the last frame is shown as long as the one before
        assert [len(list(packet.decode())) for packet in container.demux(stream) if packet.size] == [1, 1, 1]


def test_a_player_can_seek():
    file = video(np.arange(0, 30, 0.5))
    file.seek(0)
    with av.open(file) as container:
        container.seek(20_000_000)
        assert float(next(container.decode(video=0)).time) == pytest.approx(20.0)


@pytest.mark.parametrize("again", [0.0, 0.1, 0.1004])
def test_time_does_not_stand_still(again):
    writer = WebmWriter(io.BytesIO(), 96, 64)
    writer.write(0.1, key_frame())
    with pytest.raises(ValueError, match="cannot follow"):
        writer.write(again, key_frame())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8 a JPEG picture",
        b"RIFF\0\0\0\0WEBP",
        cv2.imencode(".webp", picture(1), [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes(),
    ],
)
def test_what_is_no_lossy_webp_has_no_key_frame(data):
    with pytest.raises(ValueError, match="WebP"):
        vp8_of(data)


def test_chunks_before_the_frame_are_passed_over():
    plain = encode(picture(9), to="webp").data
    extended = plain[:12] + b"ICCP" + (3).to_bytes(4, "little") + b"abc\0" + plain[12:]
    assert vp8_of(extended) == vp8_of(plain)


def test_a_disk_that_refuses_is_an_os_error():
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="No space"):
        WebmWriter(full, 96, 64)
