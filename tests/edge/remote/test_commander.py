from __future__ import annotations

import json
import threading

import pytest
from edge_helpers import wait_until

from vedette_edge.errors import DataError
from vedette_edge.publish.wire import Exchange, Received
from vedette_edge.remote.commander import Commander
from vedette_edge.remote.commands import Result
from vedette_edge.remote.control import MemoryControl
from vedette_edge.remote.seen import Seen
from vedette_edge.topics import Topics

TOPICS = Topics("hall", "n1")


class Desk:
    """A commander with all that it needs, and what it answered."""

    def __init__(self, folder, control):
        self.answers = []
        self.commander = Commander(TOPICS, control, Seen(folder / "seen"), self._answer, now=lambda: 1000.0)

    def _answer(self, message, exchange):
        self.answers.append((message.topic, Result.model_validate_json(message.payload), exchange))

    def ask(self, name="snapshot", command_id="a", args=None, exchange=Exchange(), retained=False):  # noqa: B008
        args = {"camera": "door"} if args is None else args
        payload = json.dumps({"id": command_id, "exp": 1060, "args": args}).encode()
        self.commander.take(Received(TOPICS.command(name), payload, retained, exchange))

    def result(self, count=1):
        wait_until(lambda: len(self.answers) >= count)
        return self.answers[count - 1][1]


@pytest.fixture
def make_desk(tmp_path):
    desks = []

    def make(control):
        desk = Desk(tmp_path, control)
        desks.append(desk)
        desk.commander.start()
        return desk

    yield make
    for desk in desks:
        desk.commander.close()


def test_a_command_is_done_and_answered(make_desk):
    control = MemoryControl({"bytes": 5})
    desk = make_desk(control)
    desk.ask()
    assert desk.result() == Result(id="a", ok=True, result={"bytes": 5})
    ((name, args),) = control.asked
    assert (name, args.camera) == ("snapshot", "door")
    assert desk.answers[0][0] == TOPICS.response("snapshot")


def test_the_same_id_is_done_once(make_desk):
    control = MemoryControl()
    desk = make_desk(control)
    desk.ask()
    desk.ask()
    assert desk.result(2).reason == "replayed"
    assert len(control.asked) == 1


def test_a_refused_command_is_answered_and_not_done(make_desk):
    control = MemoryControl()
    desk = make_desk(control)
    desk.ask(retained=True)
    assert desk.result().reason == "retained"
    assert control.asked == []


def test_what_cannot_be_done_says_why(make_desk):
    desk = make_desk(MemoryControl(DataError("there is no camera 'door'")))
    desk.ask()
    assert desk.result() == Result(id="a", ok=False, reason="failed", error="there is no camera 'door'")


def test_a_defect_in_a_command_ends_nothing_and_tells_nothing_private(make_desk, caplog):
    desk = make_desk(MemoryControl(RuntimeError("secret")))
    desk.ask()
    assert desk.result().reason == "failed"
    assert "secret" not in desk.result().error
    assert "secret" in caplog.text
    desk.ask(command_id="b")
    assert desk.result(2).id == "b"


def test_an_answer_goes_below_its_own_topic_or_to_the_usual_one(make_desk):
    desk = make_desk(MemoryControl())
    mine = f"{TOPICS.response('snapshot')}/x"
    foreign = Topics("hall", "other").command("disable")
    for number, topic in enumerate((mine, foreign, "", TOPICS.command("reload"))):
        desk.ask(command_id=f"id-{number}", exchange=Exchange(topic, b"corr", 5))
    desk.result(4)
    usual = TOPICS.response("snapshot")
    assert [topic for topic, _, _ in desk.answers] == [mine, usual, usual, usual]
    assert all(exchange == Exchange(correlation=b"corr") for _, _, exchange in desk.answers)


def test_a_slow_command_does_not_hold_up_who_hands_over_and_the_queue_is_bounded(make_desk):
    go_on = threading.Event()

    class Slow(MemoryControl):
        def note(self, name, args):
            assert go_on.wait(20)
            return super().note(name, args)

    control = Slow()
    desk = make_desk(control)
    for number in range(40):
        desk.ask(command_id=f"id-{number}")
    busy = [result for _, result, _ in desk.answers if result.reason == "busy"]
    assert len(busy) in (7, 8)  # one may be in hand, 32 wait
    go_on.set()
    wait_until(lambda: len(desk.answers) == 40)
    assert len(control.asked) == 40 - len(busy)
