from __future__ import annotations

import threading

import pytest
from edge_helpers import wait_until

from vedette_edge.engine.turns import Turns


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize("parallel", [1, 2])
def test_as_many_calls_run_at_a_time_as_there_are_places(parallel):
    turns, gate, inside, most = Turns(parallel), threading.Event(), [], []

    def call():
        inside.append(1)
        most.append(len(inside))
        gate.wait(10)
        inside.pop()

    threads = [threading.Thread(target=turns.take, args=(call,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(inside) == parallel)
    gate.set()
    for thread in threads:
        thread.join(10)
    assert max(most) == parallel
    assert turns.durations.percentiles().count == 4


def test_the_time_of_a_call_is_kept_and_of_one_that_fails_is_not():
    clock = Clock()
    turns = Turns(clock=clock)

    def call():
        clock.now += 0.25
        return "done"

    def broken():
        raise ValueError("no")

    assert turns.take(call) == "done"
    with pytest.raises(ValueError, match="no"):
        turns.take(broken)
    assert turns.take(call) == "done"
    found = turns.durations.percentiles()
    assert (found.count, found.max) == (2, 250.0)


def test_the_oldest_call_under_way_is_known_and_who_listens_hears_of_work_and_rest():
    clock, heard = Clock(), []
    turns = Turns(2, on_busy=heard.append, clock=clock)

    def inner():
        assert turns.longest(9.0) == 9.0

    def outer():
        clock.now = 4.0
        turns.take(inner)
        assert turns.longest(9.0) == 9.0
        assert heard == [True]

    assert turns.longest(9.0) == 0.0
    turns.take(outer)
    assert turns.longest(9.0) == 0.0
    assert heard == [True, False]
