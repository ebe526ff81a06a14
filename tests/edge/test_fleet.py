from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.config import AgentConfig
from vedette_edge.fleet import effective
from vedette_edge.operation.governor import LADDER

NAMES = ("door", "gate", "roof", "yard")


def config(**changes):
    cameras = [
        {"id": name, "priority": 10 * index, "source": {"type": "file", "path": "v.mp4"}}
        for index, name in enumerate(NAMES)
    ]
    values = {"site": "s", "node": "n", "bundle": "b", "cameras": cameras} | changes
    return AgentConfig.model_validate(values, strict=False)


def running(shall_run):
    return {camera.id for camera in shall_run.cameras if camera.enabled}


def test_without_reasons_everything_runs_as_it_is_written():
    assert effective(config(), (), LADDER[0]) == config()


def test_a_camera_that_was_disabled_does_not_run():
    assert running(effective(config(), {"gate"}, LADDER[0])) == {"door", "roof", "yard"}


def test_the_governor_lets_the_least_important_go_first_and_then_all():
    assert running(effective(config(), (), LADDER[5])) == {"roof", "yard"}
    assert running(effective(config(), (), LADDER[6])) == set()


def test_pictures_become_smaller_but_never_larger():
    small = [{"id": "door", "source": {"type": "file", "path": "v.mp4"}, "capture": {"max_side": 320}}]
    assert {camera.capture.max_side for camera in effective(config(), (), LADDER[3]).cameras} == {640}
    assert effective(config(cameras=small), (), LADDER[3]).cameras[0].capture.max_side == 320


@given(st.sets(st.sampled_from(NAMES)), st.sampled_from(LADDER), st.sets(st.sampled_from(NAMES)))
def test_nothing_runs_that_the_configuration_or_a_command_forbids(disabled, step, written_off):
    cameras = [
        {"id": name, "enabled": name not in written_off, "source": {"type": "file", "path": "v.mp4"}}
        for name in NAMES
    ]
    assert running(effective(config(cameras=cameras), disabled, step)) <= set(NAMES) - disabled - written_off
