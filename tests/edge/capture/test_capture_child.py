"""The work of a capture process, done in a thread of the test."""

from __future__ import annotations

import os
import socket
import threading
import time

import pytest

from vedette_edge.capture.child import AgentGoneError, serve
from vedette_edge.capture.messages import Alive, Ended, Filled, Job, decode
from vedette_edge.capture.ring import Ring, make_memory

SLOTS = 2


class Child(threading.Thread):
    def __init__(self, video, pace, *, wait, rates=()):
        super().__init__()
        options = {"path": str(video), "pace": pace}
        self._job = Job("file", options, time.monotonic(), wait, 64, (), SLOTS, rates)
        self.agent, self._channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.agent.settimeout(10)
        memory = make_memory(SLOTS * 64 * 64 * 3)
        self._ring = Ring(memory, SLOTS, write=True)
        os.close(memory)
        self.error = None

    def run(self):
        try:
            with self._channel:
                serve(self._job, self._channel, self._ring)
        except AgentGoneError as error:
            self.error = error

    def says(self):
        try:
            return decode(self.agent.recv(1000))
        except ConnectionResetError:  # it left slots unread, and its last words come after that
            return decode(self.agent.recv(1000))


@pytest.fixture
def child(flash_video):
    started = []

    def start(pace="fast", wait=True, rates=()):
        started.append(Child(flash_video, pace, wait=wait, rates=rates))
        started[-1].start()
        return started[-1]

    yield start
    for one in started:
        one.agent.close()
        one.join(10)
        assert not one.is_alive()


def test_a_slot_is_filled_again_only_after_it_was_given_back(child):
    one = child()
    first, second = one.says(), one.says()
    assert {first.slot, second.slot} == {0, 1}
    one.agent.settimeout(0.3)
    with pytest.raises(TimeoutError):
        one.says()
    one.agent.send(bytes([second.slot]))
    third = one.says()
    assert (third.slot, third.time, third.dropped) == (second.slot, pytest.approx(0.08), 0)


def test_without_a_free_slot_a_live_source_goes_on_and_counts(child):
    one = child(wait=False)
    messages = [one.says() for _ in range(SLOTS + 1)]
    assert isinstance(messages[-1], Ended)
    assert messages[-1].reason == ""
    assert [type(message) for message in messages[:-1]] == [Filled] * SLOTS


def test_frames_that_nobody_samples_are_counted_and_stay_where_they_are(child):
    one = child(rates=[5.0])  # of 25 a second
    times, seen = [], []  # the video has 7 s
    while isinstance(message := one.says(), Filled):
        times.append(message.time)
        seen.append(message.seen)
        one.agent.send(bytes([message.slot]))
    assert times[:3] == pytest.approx([0.0, 0.2, 0.4])
    assert seen[:3] == [1, 6, 11]
    assert message == Ended(seen=7 * 25)


@pytest.mark.parametrize(("pace", "wait"), [("fast", True), ("realtime", True), ("realtime", False)])
def test_it_ends_when_the_agent_has_gone(child, pace, wait):
    one = child(pace, wait)
    assert isinstance(one.says(), Filled | Alive)
    one.agent.close()
    one.join(10)
    assert isinstance(one.error, AgentGoneError)
