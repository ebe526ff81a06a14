from __future__ import annotations

import pytest

from vedette_edge.publish.announce import Announcer, Description
from vedette_edge.topics import Birth, BirthCamera, BirthModel, CameraStatus, NodeState, Topics

MODEL = BirthModel(
    name="main", title="fights", sha256="0" * 64, variant="onnx-fp32", runtime="onnx", mode="clip",
    labels=("calm", "fight"),
)  # fmt: skip


@pytest.fixture
def cameras():
    return [BirthCamera(id="door", source="rtsp")]


@pytest.fixture
def announcer(cameras):
    def describe():
        return Description((MODEL,), tuple(cameras))

    return Announcer(Topics("hall", "n1"), "b", describe, lambda: 5.0)


def test_birth_and_will_share_session_qos_and_retain(announcer):
    birth, will = announcer.birth(7), announcer.state("lost", 7)
    assert Birth.model_validate_json(birth.payload).session == 7
    assert NodeState.model_validate_json(will.payload) == NodeState(state="lost", session=7, boot="b", ts=5.0)
    assert (birth.qos, birth.retain) == (will.qos, will.retain) == (1, True)


def test_birth_names_models_and_cameras_without_their_addresses(announcer):
    birth = Birth.model_validate_json(announcer.birth(1).payload)
    assert [camera.model_dump() for camera in birth.cameras] == [{"id": "door", "source": "rtsp"}]
    assert birth.models == (MODEL,)


def test_the_version_rises_only_when_something_changed(announcer, cameras):
    versions = [Birth.model_validate_json(announcer.birth(n).payload).version for n in (1, 2)]
    cameras.append(BirthCamera(id="yard", source="file"))
    versions.append(Birth.model_validate_json(announcer.birth(3).payload).version)
    assert versions == [1, 1, 2]


def test_a_cameras_status_is_retained(announcer):
    message = announcer.status("door", "offline", "unplugged")
    assert message.retain
    assert CameraStatus.model_validate_json(message.payload).reason == "unplugged"
