from __future__ import annotations

import threading

from edge_helpers import wait_until

from vedette_edge.recording import background as module
from vedette_edge.recording.background import Background


def test_items_are_handled_in_order_and_all_of_them_before_the_end():
    done = []
    background = Background("test", done.append, lambda: None)
    for number in range(1000):
        background.put(number)
    background.stop()
    wait_until(lambda: background.finished)
    assert done == list(range(1000))


def test_a_defect_costs_one_item_and_is_logged(caplog):
    done = []

    def handle(number):
        done.append(1 / number)

    background = Background("test", handle, lambda: None)
    for number in (1, 0, 2):
        background.put(number)
    background.stop()
    wait_until(lambda: background.finished)
    assert done == [1.0, 0.5]
    assert "ZeroDivisionError" in caplog.text


def test_it_tidies_at_once_and_again_and_again(monkeypatch):
    monkeypatch.setattr(module, "_PERIOD", 0.01)
    tidied = threading.Semaphore(0)
    background = Background("test", lambda _: None, tidied.release)
    for _ in range(3):
        assert tidied.acquire(timeout=10)
    background.stop()
    wait_until(lambda: background.finished)
