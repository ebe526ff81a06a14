from __future__ import annotations

import threading

import pytest

from vedette_edge.handover import HandOver


def nothing():
    pass


def test_items_come_in_order():
    queue = HandOver(3, lossless=True)
    for item in (1, 2, 3):
        assert queue.put(item, nothing)
    assert [queue.get(nothing) for _ in range(3)] == [1, 2, 3]


def test_a_full_queue_drops_the_oldest_and_counts_it():
    queue = HandOver(2, lossless=False)
    for item in range(5):
        queue.put(item, nothing)
    assert [queue.get(nothing), queue.get(nothing)] == [3, 4]
    assert queue.dropped == 3


def test_a_lossless_queue_waits_and_drops_nothing():
    queue, taken = HandOver(2, lossless=True), []

    def take():
        while (item := queue.get(nothing)) is not None:
            taken.append(item)

    thread = threading.Thread(target=take)
    thread.start()
    for item in range(200):
        queue.put(item, nothing)
    queue.close()
    thread.join(5)
    assert taken == list(range(200))
    assert queue.dropped == 0


def test_after_closing_what_is_inside_can_be_taken_out():
    queue = HandOver(2, lossless=True)
    queue.put(1, nothing)
    queue.close()
    assert not queue.put(2, nothing)
    assert queue.get(nothing) == 1
    assert queue.get(nothing) is None


def test_closing_frees_a_waiting_put():
    queue = HandOver(1, lossless=True)
    queue.put(1, nothing)
    beats = []

    def beat():
        beats.append(1)
        threading.Timer(0.01, queue.close).start()

    assert not queue.put(2, beat)
    assert beats


def test_waiting_beats():
    queue = HandOver(1, lossless=False)
    beats = []

    def beat():
        beats.append(1)
        if len(beats) == 2:
            queue.close()

    assert queue.get(beat) is None
    assert len(beats) == 2


def test_no_capacity_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        HandOver(0, lossless=True)
