from __future__ import annotations

import hashlib
import itertools

import cv2
import numpy as np
import pytest
from edge_helpers import input_spec

from vedette_edge.decision import Transition
from vedette_edge.events import EventWriter, PictureStyle, View, draw_banner, most_telling
from vedette_edge.manifest import OutputSpec
from vedette_edge.topics import Topics, parse_event
from vedette_edge.types import Frame

ORIGIN = 1_700_000_000.0


def make_writer(**changes):
    ids = (f"ID{number}" for number in itertools.count(1))
    values = {
        "topics": Topics("hall", "n1"),
        "camera": "door",
        "labels": ["calm", "fight"],
        "spec": input_spec(),
        "outputs": OutputSpec(logits=(2,), heatmap=(2, 2, 4, 4)),
        "model_sha256": "0" * 64,
        "boot": "boot",
        "next_seq": itertools.count(1).__next__,
        "new_id": ids.__next__,
        "style": PictureStyle(max_bytes=20_000),
    }
    return EventWriter(**(values | changes))


@pytest.fixture
def writer():
    return make_writer()


def view(hot_slice=3, slices=4, frames=8):
    heatmap = np.zeros((2, slices, 4, 4), np.float32)
    heatmap[1, :, 1, 2] = 1.0
    heatmap[1, hot_slice, 1, 2] = 5.0
    pictures = [Frame(np.full((240, 320, 3), 20 * n, np.uint8), n / 4) for n in range(frames)]
    return View(pictures, heatmap, captured=7.0)


def change(kind, time=2.0, score=0.9, peak=0.95, label=1):
    return Transition(kind, label, time, 1.0, score, peak)


def test_the_picture_goes_first_and_the_event_names_it(writer):
    picture, message = writer.show(change("new"), view(), ORIGIN)
    event = parse_event(message.payload)
    assert picture.topic == "vedette/v1/hall/n1/cam/door/heatmap"
    assert (picture.retain, picture.content_type) == (True, "image/jpeg")
    assert dict(picture.properties) == {"from": "n1", "model": "0" * 64, "seq": "1"}
    assert (message.topic, message.retain) == ("vedette/v1/hall/n1/cam/door/events", False)
    assert event.picture.sha256 == hashlib.sha256(picture.payload).hexdigest()
    assert event.picture.bytes == len(picture.payload) <= 20_000
    assert (event.picture.width, event.picture.height) == (320, 240)
    assert picture.captured == message.captured == 7.0


def test_the_event_says_where_and_when(writer):
    event = parse_event(writer.show(change("new"), view(), ORIGIN)[1].payload)
    assert event.hottest == (0.625, 0.375)
    assert event.area.x <= 0.625 <= event.area.x + event.area.w
    # Slice 3 of 4 stands for frames 6 and 7 of 8; 7 is its middle, rounded up.
    assert (event.position, event.frame_time) == (1.75, ORIGIN + 1.75)
    assert (event.start_time, event.start_position) == (ORIGIN + 1.0, 1.0)
    assert (event.score, event.top_score) == (0.9, 0.95)
    assert event.end_time is None


def test_an_event_keeps_its_id_and_its_end_repeats_what_it_showed(writer):
    new = parse_event(writer.show(change("new"), view(), ORIGIN)[1].payload)
    update = parse_event(writer.show(change("update", 3.0), view(hot_slice=0), ORIGIN)[1].payload)
    (last,) = writer.end(change("end", 4.0, score=0.1), ORIGIN)
    end = parse_event(last.payload)
    assert new.id == update.id == end.id == "ID1"
    assert [new.seq, update.seq, end.seq] == [1, 2, 3]
    assert (end.picture, end.area, end.position) == (update.picture, update.area, update.position)
    assert (end.end_time, end.end_position) == (ORIGIN + 4.0, 4.0)
    assert parse_event(writer.show(change("new", 9.0), view(), ORIGIN)[1].payload).id == "ID2"


def test_labels_have_events_of_their_own(writer):
    first = parse_event(writer.show(change("new"), view(), ORIGIN)[1].payload)
    other = parse_event(writer.show(change("new", label=0), view(), ORIGIN)[1].payload)
    assert (first.id, first.label) == ("ID1", "fight")
    assert (other.id, other.label) == ("ID2", "calm")


@pytest.mark.parametrize(
    ("slices", "hot", "frames", "expected"), [(1, 0, 16, 8), (4, 0, 16, 2), (4, 3, 16, 14), (16, 15, 16, 15)]
)
def test_the_most_telling_frame_is_in_the_slice_with_most_evidence(slices, hot, frames, expected):
    heatmap = np.zeros((1, slices, 2, 2), np.float32)
    heatmap[0, hot] = 1.0
    assert most_telling(heatmap, 0, frames) == expected


def test_evidence_against_a_label_does_not_tell():
    heatmap = np.zeros((1, 2, 1, 2), np.float32)
    heatmap[0, 0] = (-9.0, 2.0)
    heatmap[0, 1] = (1.0, 0.5)
    assert most_telling(heatmap, 0, 2) == 0


@pytest.mark.parametrize(("width", "height"), [(320, 240), (1920, 1080), (240, 320), (160, 90), (32, 16)])
@pytest.mark.parametrize("title", ["fight 0.93", "a label of quite unusual length " * 3, "Schlägerei 0.50"])
def test_the_banner_is_written_within_the_picture(width, height, title):
    image = np.full((height, width, 3), 128, np.uint8)
    draw_banner(image, title, "gate-1  2025-11-20 13:39:02")
    band = np.flatnonzero((image < 100).any(axis=(1, 2)))
    assert (image[: band[0]] == 128).all()
    assert image[band[0] :, -2:].max() < 100 or width < 100
    if height >= 90:
        assert image[band[0] :].max() > 200
        assert len(band) < height * 0.5


def test_letters_at_320_by_240_are_tall_enough_to_read():
    image = np.zeros((240, 320, 3), np.uint8)
    draw_banner(image, "HHHH", "")
    rows = np.flatnonzero((image > 128).any(axis=(1, 2)))
    assert rows[-1] - rows[0] + 1 >= 9


def test_a_picture_of_a_large_frame_stays_below_the_bound(writer):
    noise = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)
    loud = View([Frame(noise, 0.0)] * 8, view().heatmap)
    picture, message = writer.show(change("new"), loud, ORIGIN)
    assert len(picture.payload) <= 20_000
    shown = cv2.imdecode(np.frombuffer(picture.payload, np.uint8), 1)
    assert parse_event(message.payload).picture.height == shown.shape[0] < 1080


def test_a_picture_may_be_webp():
    style = PictureStyle(max_bytes=20_000, format="webp")
    picture, message = make_writer(style=style).show(change("new"), view(), ORIGIN)
    assert picture.content_type == "image/webp"
    assert picture.payload[:4] + picture.payload[8:12] == b"RIFFWEBP"
    event = parse_event(message.payload)
    assert event.picture.sha256 == hashlib.sha256(picture.payload).hexdigest()
    assert event.picture.bytes <= 20_000


def test_what_nobody_may_see_is_hidden_below_the_heatmap():
    class Black:
        def redact(self, image):
            return np.zeros_like(image)

    white = View([Frame(np.full((240, 320, 3), 255, np.uint8), 0.0)] * 8, view().heatmap)
    plain, _ = make_writer().show(change("new"), white, ORIGIN)
    hidden, message = make_writer(redactor=Black()).show(change("new"), white, ORIGIN)
    corner, spot = (slice(0, 40), slice(0, 40)), (slice(80, 100), slice(190, 210))
    assert decoded(plain)[corner].min() > 240
    assert decoded(hidden)[corner].max() < 16
    assert decoded(hidden)[spot].max() > 60
    assert white.frames[0].image.all()
    assert parse_event(message.payload).hottest == (0.625, 0.375)


def decoded(message):
    return cv2.imdecode(np.frombuffer(message.payload, np.uint8), 1)


def at(time):
    """Return a view whose most telling frame is at `time`."""
    return View([Frame(np.zeros((48, 64, 3), np.uint8), time)] * 8, view().heatmap)


def test_updates_within_the_interval_repeat_what_was_last_shown(writer):
    writer.set_picture_interval(5.0)
    first = parse_event(writer.show(change("new"), at(10.0), ORIGIN)[1].payload)
    (alone,) = writer.show(change("update", score=0.8), at(14.9), ORIGIN)
    early = parse_event(alone.payload)
    assert (early.type, early.seq, early.score) == ("update", 2, 0.8)
    assert (early.picture, early.position, early.area) == (first.picture, first.position, first.area)
    assert len(writer.show(change("update"), at(15.0), ORIGIN)) == 2
    assert len(writer.show(change("update"), at(19.0), ORIGIN)) == 1
    writer.set_picture_interval(0.0)
    assert len(writer.show(change("update"), at(19.0), ORIGIN)) == 2


def test_a_new_event_always_has_a_picture_and_so_has_one_after_the_stream_began_again(writer):
    writer.set_picture_interval(60.0)
    assert len(writer.show(change("new"), at(100.0), ORIGIN)) == 2
    assert len(writer.show(change("new", label=0), at(100.0), ORIGIN)) == 2
    assert len(writer.show(change("update"), at(1.0), ORIGIN)) == 2
    writer.end(change("end"), ORIGIN)
    assert len(writer.show(change("new"), at(2.0), ORIGIN)) == 2
