from __future__ import annotations

import threading

import pytest

from vedette_edge.control import AgentControl, Errands
from vedette_edge.errors import UsageError
from vedette_edge.remote.arguments import COMMANDS, CameraArguments, ConfigArguments, NoArguments
from vedette_edge.topics import ConfigReport


@pytest.fixture
def errands():
    """Errands, and a supervisor that runs them until the test ends."""
    errands, over = Errands(), threading.Event()

    def supervise():
        while not over.wait(0.005):
            errands.run()

    thread = threading.Thread(target=supervise, name="supervisor")
    thread.start()
    yield errands
    over.set()
    thread.join()


class Agent:
    """Remembers on which thread it was asked."""

    def __init__(self, ok=True):
        self.asked = []
        self._ok = ok

    def set_enabled(self, camera, enabled):
        self.asked.append((threading.current_thread().name, camera, enabled))

    def take_config(self, _document, *, dry_run):
        return ConfigReport(
            ts=0, ok=self._ok, dry_run=dry_run, sha256="0", error="" if self._ok else "wrong", changes=("a",)
        )

    def reload(self):
        return self.take_config(b"", dry_run=False)


def test_what_is_asked_is_done_on_the_supervisors_thread(errands):
    agent = Agent()
    control = AgentControl(agent, errands)
    assert control.disable(CameraArguments(camera="door")) == {"camera": "door", "enabled": False}
    control.enable(CameraArguments(camera="door"))
    assert agent.asked == [("supervisor", "door", False), ("supervisor", "door", True)]


def test_what_goes_wrong_there_is_raised_here(errands):
    def fail():
        raise UsageError("no such camera")

    with pytest.raises(UsageError, match="no such camera"):
        errands.have_done(fail)
    assert errands.have_done(lambda: 3) == 3


def test_a_supervisor_that_does_not_come_is_told():
    with pytest.raises(UsageError, match=r"did not come to it within 0\.05 s"):
        Errands(patience=0.05).have_done(lambda: None)


def test_an_errand_that_was_given_up_is_not_done_later():
    errands, done = Errands(patience=0.05), []
    with pytest.raises(UsageError):
        errands.have_done(lambda: done.append(1))
    errands.run()
    assert done == []


def test_a_refused_configuration_is_an_error_and_a_right_one_tells_its_changes(errands):
    arguments = ConfigArguments(document="x", dry_run=True)
    right = AgentControl(Agent(), errands)
    assert right.config(arguments) == {"changes": ["a"], "dry_run": True}
    assert right.reload(NoArguments()) == {"changes": ["a"], "dry_run": False}
    with pytest.raises(UsageError, match="wrong"):
        AgentControl(Agent(ok=False), errands).config(arguments)


def test_there_is_a_method_for_each_command():
    assert all(callable(getattr(AgentControl, name)) for name in COMMANDS)
