from __future__ import annotations

import json
import logging
import threading

import cv2
import numpy as np
import pytest
from edge_helpers import wait_until
from recording_helpers import ORIGIN, TOPICS, event, message

from vedette_edge.privacy import Clear
from vedette_edge.publish.base import Message
from vedette_edge.recording import recorder as recorder_module
from vedette_edge.recording import writer as writer_module
from vedette_edge.recording.record import ClipRecord
from vedette_edge.recording.recorder import ClipRecorder, ClipStyle
from vedette_edge.recording.retention import Retention
from vedette_edge.types import Frame
from vedette_edge.video import read_frames

STYLE = ClipStyle(before=1.0, after=1.0, longest=20.0, fps=10.0, side=64)


def frame(time, width=128, height=96):
    """Return a frame whose brightness tells its time: 4 a second."""
    return Frame(np.full((height, width, 3), min(255, round(20 + 4 * time)), np.uint8), time)


def stream(seconds, fps=25.0):
    return [frame(n / fps) for n in range(round(seconds * fps))]


@pytest.fixture
def make(tmp_path):
    made = []

    def make(style=STYLE, redactor=None, directory=None):
        directory = directory or tmp_path / "clips"
        retention = Retention([directory], max_bytes=10**9, keep_days=1)
        made.append(ClipRecorder(directory, TOPICS, "door", style, redactor or Clear(), retention))
        return made[-1]

    yield make
    for one in made:
        end(one)


def end(recorder):
    recorder.stop()
    wait_until(lambda: recorder.finished, what="the recorder's end")


def run(recorder, frames, told):
    """Push frames; `told` maps the time from which events are known to them."""
    left = sorted(told.items())
    for one in frames:
        due = [left.pop(0)[1] for _ in list(left) if left and left[0][0] <= one.time]
        recorder.push(one, [message(each) for events in due for each in events])
    end(recorder)


ONE = {4.0: [event("new", start=3.0)], 6.0: [event("end", start=3.0, end=6.0)]}


def test_a_clip_shows_what_happened_when(make, tmp_path):
    recorder = make()
    run(recorder, stream(10), ONE)
    (video,) = tmp_path.glob("clips/*.webm")
    assert video.name == f"door-{event('new').id}.webm"
    record = ClipRecord.model_validate_json(video.with_suffix(".json").read_bytes())
    frames = list(read_frames(video))
    assert (recorder.written, recorder.dropped, recorder.failed) == (1, 0, 0)
    assert frames[0].image.shape == (48, 64, 3)
    assert (record.frames, record.bytes) == (len(frames), video.stat().st_size)
    assert record.start_time == pytest.approx(ORIGIN + 2.0, abs=0.1)
    assert record.end_time == pytest.approx(ORIGIN + 7.0, abs=0.1)
    assert len(frames) == pytest.approx(10 * 5, abs=1)
    for one in frames:
        shown = (one.image.mean() - 20) / 4
        assert record.start_time + one.time == pytest.approx(ORIGIN + shown, abs=0.5)


def test_frames_that_come_unevenly_keep_their_times(make, tmp_path):
    times = np.cumsum(np.random.default_rng(0).choice([0.02, 0.04, 0.3, 0.7], 60))
    recorder = make(ClipStyle(before=60, after=60, longest=200))
    run(recorder, [frame(float(time)) for time in times], {2.0: [event("new", start=2.0)]})
    (video,) = tmp_path.glob("clips/*.webm")
    shown = [one.time for one in read_frames(video)]
    given = [float(time - times[0]) for time in times]
    assert all(min(abs(time - other) for other in given) < 2e-3 for time in shown)
    assert len(shown) > 30


def test_at_most_so_many_frames_a_second_are_kept_and_none_too_close(make, tmp_path):
    times = np.cumsum(np.random.default_rng(1).choice([0.01, 0.033, 0.09, 0.1], 400))
    run(make(), [frame(float(time)) for time in times], ONE)
    (video,) = tmp_path.glob("clips/*.webm")
    shown = [one.time for one in read_frames(video)]
    assert len(shown) <= 10 * (shown[-1] + 0.2)
    assert len(shown) > 30
    assert np.diff(shown).min() >= 0.049


def test_a_camera_that_changes_its_resolution_keeps_its_clip(make, tmp_path):
    recorder = make()
    frames = [frame(n / 10, *((128, 96) if n < 50 else (64, 64))) for n in range(100)]
    run(recorder, frames, ONE)
    (video,) = tmp_path.glob("clips/*.webm")
    assert {one.image.shape for one in read_frames(video)} == {(48, 64, 3)}


def test_nothing_is_written_in_clear(make, tmp_path):
    class Black:
        def redact(self, image):
            return np.zeros_like(image)

    run(make(redactor=Black()), stream(10), ONE)
    (video,) = tmp_path.glob("clips/*.webm")
    assert max(one.image.max() for one in read_frames(video)) < 8


def test_a_slow_disk_or_detector_blocks_nobody_and_what_is_lost_is_counted(make, monkeypatch):
    monkeypatch.setattr(recorder_module, "_WAITING_BYTES", 5_000)
    gate = threading.Event()

    class Stuck:
        def redact(self, image):
            gate.wait(10)
            return image

    recorder = make(redactor=Stuck())
    for one in stream(10):
        recorder.push(one, [message(event("new", start=1.0))] if one.time == 1.0 else [])
    assert recorder.dropped > 50
    gate.set()
    end(recorder)
    assert recorder.written == 1


def test_a_full_disk_is_one_line_and_the_next_clip_is_kept(make, tmp_path, monkeypatch, caplog):
    spared = writer_module._SPARED_BYTES
    monkeypatch.setattr(writer_module, "_SPARED_BYTES", 1 << 60)
    recorder = make()
    told = {
        1.0: [event("new", 1, start=1.0)],
        2.0: [event("end", 1, start=1.0, end=2.0)],
        6.0: [event("new", 2, start=6.0)],
        7.0: [event("end", 2, start=6.0, end=7.0)],
    }
    with caplog.at_level(logging.WARNING):
        for one in stream(10):
            recorder.push(one, [message(each) for each in told.get(one.time, [])])
        wait_until(lambda: recorder.failed == 2, what="two clips that failed")
    assert len(caplog.records) == 1
    assert "cannot keep clips" in caplog.text
    assert "MiB are free" in caplog.text
    assert not list(tmp_path.glob("clips/*"))
    monkeypatch.setattr(writer_module, "_SPARED_BYTES", spared)
    run(recorder, [frame(10 + n / 10) for n in range(60)], {11.0: [event("new", 3, start=11.0)]})
    assert recorder.written == 1


def test_a_directory_that_cannot_be_made_is_one_line(make, tmp_path, caplog):
    (tmp_path / "file").touch()
    recorder = make(directory=tmp_path / "file" / "clips")
    run(recorder, stream(10), ONE)
    assert (recorder.written, recorder.failed) == (0, 1)
    assert len(caplog.records) == 1


def test_messages_that_are_no_events_of_a_model_are_passed_over(make, tmp_path):
    recorder = make()
    others = [
        Message(TOPICS.events("door"), b'{"type": "tamper"}'),
        Message(TOPICS.heatmap("door"), b"jpeg", content_type="image/jpeg"),
        message(event("new", start=1.0)),
    ]
    for one in stream(3):
        recorder.push(one, others if one.time == 2.0 else [])
    end(recorder)
    (record,) = tmp_path.glob("clips/*.json")
    assert len(json.loads(record.read_text())["events"]) == 1


def test_the_end_of_the_stream_completes_the_clip_and_its_last_messages_count(make, tmp_path):
    recorder = make()
    for one in stream(4):
        recorder.push(one, [message(event("new", start=3.0))] if one.time == 3.0 else [])
    recorder.finish([message(event("end", start=3.0, end=3.9))])
    wait_until(lambda: recorder.written == 1, what="the clip")
    assert not list(tmp_path.glob("clips/.*"))
    (record,) = tmp_path.glob("clips/*.json")
    assert json.loads(record.read_text())["events"][0]["end_time"] == ORIGIN + 3.9


def test_real_footage_is_recognisable(make, tmp_path, surveillance):
    recorder = make(ClipStyle(before=2, after=2))
    given = [one for one in read_frames(surveillance) if one.time < 4]
    run(recorder, given, {1.0: [event("new", start=1.0)]})
    (video,) = tmp_path.glob("clips/*.webm")
    shown = list(read_frames(video))
    assert len(shown) >= 30
    for one in shown[::10]:
        original = min(given, key=lambda other: abs(other.time - one.time)).image
        same = cv2.resize(original, one.image.shape[1::-1])
        assert cv2.PSNR(same, one.image) > 28
