from __future__ import annotations

import threading

import pytest
from edge_helpers import wait_until

from vedette_edge.publish.group_commit import GroupCommit


def test_what_is_handed_in_during_a_write_is_written_together_in_order():
    batches, first_is_in, go_on = [], threading.Event(), threading.Event()

    def write(items):
        batches.append(items)
        if items == [0]:
            first_is_in.set()
            assert go_on.wait(10)

    group = GroupCommit(write)
    threads = [threading.Thread(target=group.put, args=(number,)) for number in range(4)]
    threads[0].start()
    assert first_is_in.wait(10)
    for thread in threads[1:]:
        thread.start()
    wait_until(lambda: group.waiting == 3)
    go_on.set()
    for thread in threads:
        thread.join()
    assert [sorted(batch) for batch in batches] == [[0], [1, 2, 3]]


def test_the_fault_of_one_is_not_that_of_the_others():
    written, hold = [], threading.Lock()

    def write(items):
        with hold:
            if -1 in items:
                raise ValueError("minus one")
            written.extend(items)

    group, errors = GroupCommit(write), []

    def put(item):
        try:
            group.put(item)
        except ValueError as error:
            errors.append((item, str(error)))

    threads = [threading.Thread(target=put, args=(item,)) for item in (1, -1, 2, 3)]
    with hold:
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join()
    assert sorted(written) == [1, 2, 3]
    assert errors == [(-1, "minus one")]


def test_put_raises_what_the_write_raised():
    def write(_):
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        GroupCommit(write).put(1)
