from __future__ import annotations

import threading

import pytest
from edge_helpers import scene

from vedette_edge.config import CameraConfig
from vedette_edge.errors import VideoError
from vedette_edge.operation.doctor.cameras import camera, camera_in_use, device, first_frame
from vedette_edge.operation.status import CameraState


def config(path, **changes):
    source = {"type": "file", "path": path}
    return CameraConfig.model_validate({"id": "door", "source": source} | changes)


def test_a_camera_that_gives_a_picture_is_well(flash_video):
    finding = camera(config(flash_video))
    assert (finding.level, finding.text) == ("ok", "gives pictures of 64 x 48")


def test_a_camera_that_cannot_be_opened_fails(tmp_path):
    finding = camera(config(tmp_path / "none.mp4"))
    assert finding.level == "fail"
    assert "no such video file" in finding.text


def test_a_camera_that_hangs_is_given_up(monkeypatch, flash_video):
    released = threading.Event()

    class Hanging:
        def frames(self):
            released.wait(30)
            yield from scene((0.04, False))

    monkeypatch.setattr("vedette_edge.operation.doctor.cameras.open_source", lambda *_arguments: Hanging())
    with pytest.raises(VideoError, match=r"no picture within 0\.05 s"):
        first_frame(config(flash_video), 0.05)
    released.set()


def test_a_camera_that_ends_at_once_fails(monkeypatch, flash_video):
    class Empty:
        def frames(self):
            return iter(())

    monkeypatch.setattr("vedette_edge.operation.doctor.cameras.open_source", lambda *_arguments: Empty())
    assert "ended without a picture" in camera(config(flash_video)).text


def test_a_camera_that_is_switched_off_is_not_opened(tmp_path):
    assert camera(config(tmp_path / "none.mp4", enabled=False)).text == "disabled"


@pytest.mark.parametrize(
    ("status", "level"),
    [("online", "ok"), ("starting", "ok"), ("disabled", "ok"), ("stalled", "fail"), ("offline", "fail")],
)
def test_of_a_running_agent_its_word_counts(status, level):
    state = CameraState(id="door", status=status, reason="because", last_event=None)
    finding = camera_in_use(state)
    assert finding.level == level
    assert "because" in finding.text


def test_a_device_must_be_there_and_usable(tmp_path):
    path = tmp_path / "video0"
    assert device(path).level == "fail"
    path.touch()
    assert device(path).level == "ok"
    refused = device(path, may=lambda *_: False)
    assert (refused.level, "usermod -aG video" in refused.remedy) == ("warn", True)
