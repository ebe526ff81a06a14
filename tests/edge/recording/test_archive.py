from __future__ import annotations

import hashlib

import pytest
from edge_helpers import wait_until
from recording_helpers import TOPICS, event, message

from vedette_edge.publish.base import Message
from vedette_edge.recording import archive as module
from vedette_edge.recording.archive import PictureArchive
from vedette_edge.recording.retention import Retention
from vedette_edge.topics import Picture

JPEG, WEBP = b"\xff\xd8 a picture", b"RIFF1234WEBP a picture"


@pytest.fixture
def archive(tmp_path):
    made = PictureArchive(tmp_path / "shown", Retention([tmp_path / "shown"], max_bytes=10**6, keep_days=1))
    yield made
    end(made)


def end(archive):
    archive.stop()
    wait_until(lambda: archive.finished, what="the archive's end")


def told(picture, number=1, content_type="image/jpeg", **changes):
    named = Picture(sha256=hashlib.sha256(picture).hexdigest(), bytes=len(picture), width=1, height=1)
    picture_message = Message(TOPICS.heatmap("door"), picture, content_type=content_type)
    return [picture_message, message(event("new", number, picture=named, **changes))]


def test_pictures_are_kept_under_the_name_of_their_event(archive, tmp_path):
    archive.keep([*told(JPEG, 1), *told(WEBP, 2, "image/webp", label="fall")])
    end(archive)
    first, second = sorted(tmp_path.glob("shown/*"))
    assert (first.name, first.read_bytes()) == (f"door-{event('new', 1).id}-fight.jpg", JPEG)
    assert (second.name, second.read_bytes()) == (f"door-{event('new', 2).id}-fall.webp", WEBP)


def test_messages_without_pictures_are_nothing_to_keep(archive, tmp_path):
    archive.keep([message(event("end", end=1.0))])
    archive.keep([])
    end(archive)
    assert not (tmp_path / "shown").exists()


def test_a_picture_that_no_event_of_a_model_names_is_passed_over(archive, tmp_path):
    snapshot = Message(TOPICS.snapshot("door"), JPEG, content_type="image/jpeg")
    archive.keep([snapshot, Message(TOPICS.events("door"), b'{"type": "tamper"}'), *told(WEBP)])
    end(archive)
    assert [path.suffix for path in tmp_path.glob("shown/*")] == [".webp"]


def test_a_disk_that_refuses_is_one_line(archive, tmp_path, caplog):
    (tmp_path / "shown").write_text("a file where a directory should be")
    for number in range(5):
        archive.keep(told(JPEG, number))
    end(archive)
    assert len(caplog.records) == 1
    assert "cannot keep pictures" in caplog.text


def test_pictures_for_which_there_is_no_time_are_counted(archive, monkeypatch):
    monkeypatch.setattr(module, "_WAITING", 0)
    archive.keep(told(JPEG))
    assert archive.dropped == 1
