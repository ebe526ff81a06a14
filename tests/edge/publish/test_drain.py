from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.publish.drain import UNDER_WAY, Drain

steps = st.lists(st.tuples(st.floats(0, 3), st.integers(0, 20), st.booleans()), max_size=60)


def test_alone_what_waited_leaves_room_for_what_comes():
    assert Drain(1000).room(0.0, live=0, late=0, heard=True) == 16


def test_beside_something_new_it_has_a_small_share():
    drain = Drain(1000)
    assert drain.room(0.0, live=5, late=0, heard=True) == 4
    assert drain.room(0.0, live=5, late=4, heard=True) == 0
    assert drain.room(0.0, live=18, late=0, heard=True) == 2


def test_unheard_it_goes_one_by_one_at_a_tenth_of_the_rate():
    drain = Drain(10)
    assert drain.room(0.0, live=0, late=0, heard=False) == 1
    drain.sent(10)
    assert drain.room(0.5, live=0, late=0, heard=False) == 0
    assert drain.room(1.1, live=0, late=0, heard=False) == 1


def test_in_a_hurry_only_the_window_bounds_it():
    drain = Drain(1)
    drain.sent(1)
    assert drain.room(0.0, live=0, late=0, heard=True) == 0
    drain.hurry()
    assert drain.room(0.0, live=0, late=0, heard=True) == 16


@given(st.floats(1, 500), steps)
def test_it_never_sends_more_than_the_rate_and_the_window_allow(rate, steps):
    drain, now, sent = Drain(rate), 0.0, 0
    for elapsed, live, heard in steps:
        now += elapsed
        room = drain.room(now, live=live, late=0, heard=heard)
        assert 0 <= room <= UNDER_WAY - live
        drain.sent(room)
        sent += room
        assert sent <= rate * (now + 1) + 1e-6
