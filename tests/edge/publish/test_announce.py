from __future__ import annotations

import pytest

from vedette_edge.publish.announce import Announcer
from vedette_edge.topics import Birth, CameraStatus, NodeState, Topics


@pytest.fixture
def announcer():
    return Announcer(
        topics=Topics("hall", "n1"),
        boot="b",
        model="fights",
        model_sha256="0" * 64,
        variant="onnx-fp32",
        labels=("calm", "fight"),
        cameras=(("door", "file"),),
        now=lambda: 5.0,
    )


def test_birth_and_will_share_session_qos_and_retain(announcer):
    birth, will = announcer.birth(7), announcer.state("lost", 7)
    assert Birth.model_validate_json(birth.payload).session == 7
    assert NodeState.model_validate_json(will.payload) == NodeState(state="lost", session=7, boot="b", ts=5.0)
    assert (birth.qos, birth.retain) == (will.qos, will.retain) == (1, True)


def test_birth_names_cameras_without_their_addresses(announcer):
    birth = Birth.model_validate_json(announcer.birth(1).payload)
    assert [camera.model_dump() for camera in birth.cameras] == [{"id": "door", "source": "file"}]
    assert birth.labels == ("calm", "fight")


def test_a_cameras_status_is_retained(announcer):
    message = announcer.status("door", "offline", "unplugged")
    assert message.retain
    assert CameraStatus.model_validate_json(message.payload).reason == "unplugged"
