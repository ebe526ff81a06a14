from __future__ import annotations

import hashlib

import pytest

from vedette_edge.pictures import Pairing, file_name, save_picture
from vedette_edge.topics import Event, Picture


def event(label="fight", picture=b"jpeg"):
    digest = hashlib.sha256(picture).hexdigest()
    return Event(
        type="new",
        id="01ARYZ6S410000000000000000",
        seq=1,
        boot="b",
        camera="door",
        label=label,
        score=0.9,
        top_score=0.9,
        start_time=1,
        frame_time=1,
        position=1,
        start_position=1,
        area={"x": 0, "y": 0, "w": 1, "h": 1},
        hottest=(0.5, 0.5),
        model_sha256="0" * 64,
        picture=Picture(sha256=digest, bytes=len(picture), width=1, height=1),
    )


def test_an_event_finds_its_picture():
    pairing = Pairing()
    pairing.add(b"other")
    assert pairing.of(event()) is None
    pairing.add(b"jpeg")
    assert pairing.of(event()) == b"jpeg"
    assert pairing.of(event().model_copy(update={"picture": None})) is None


def test_only_the_latest_pictures_are_remembered():
    pairing = Pairing()
    pairing.add(b"jpeg")
    for number in range(64):
        pairing.add(str(number).encode())
    assert pairing.of(event()) is None


@pytest.mark.parametrize("label", ["fight", "../../etc/passwd", "a b/c", ".", "Schlägerei"])
def test_no_label_leads_out_of_the_directory(tmp_path, label):
    path = save_picture(tmp_path / "new", event(label), b"jpeg")
    assert path.parent == tmp_path / "new"
    assert path.read_bytes() == b"jpeg"
    assert path.name.startswith("door-01ARYZ6S410000000000000000-")


@pytest.mark.parametrize(("picture", "suffix"), [(b"\xff\xd8", "jpg"), (b"RIFF\1\2\3\4WEBPVP8 ", "webp")])
def test_the_name_is_camera_id_label_and_format(tmp_path, picture, suffix):
    name = f"door-01ARYZ6S410000000000000000-fight.{suffix}"
    assert file_name(event(), picture) == name
    assert save_picture(tmp_path, event(), picture).name == name
