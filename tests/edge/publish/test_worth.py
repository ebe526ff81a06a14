from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.publish.base import Message
from vedette_edge.publish.gaps import gaps_of, merged
from vedette_edge.publish.worth import Worth, worth_of

kinds = st.sampled_from(["picture", "update", "new", "end", "other"])
worths = st.builds(Worth, kinds, st.sampled_from(["a", "b", ""]), st.integers(0, 99), st.floats(0, 1e9))


def event(kind, seq):
    return Message("e", json.dumps({"type": kind, "seq": seq, "boot": "b", "frame_time": 5.0}).encode())


def test_a_picture_belongs_to_the_event_that_follows_it():
    picture = Message("p", b"\xff", content_type="image/jpeg")
    assert worth_of([event("new", 1), picture, event("update", 2), picture]) == [
        Worth("new", "b", 1, 5.0),
        Worth("picture", "b", 2, 5.0),
        Worth("update", "b", 2, 5.0),
        Worth("picture"),
    ]


def test_rank_rises_from_pictures_to_gaps():
    ranks = [Worth(kind).rank for kind in ("picture", "update", "other", "new", "end", "gap")]
    assert ranks == sorted(ranks)
    assert Worth("new").rank == Worth("end").rank


values = st.recursive(st.none() | st.integers() | st.text() | st.just("new"), st.lists, max_leaves=3)
contents = st.dictionaries(st.sampled_from(["type", "boot", "seq", "frame_time"]), values)


@given(st.binary(max_size=40) | contents.map(lambda content: json.dumps(content).encode()))
def test_no_payload_breaks_it(payload):
    assert worth_of([Message("t", payload)])[0].kind in ("other", "new", "update", "end")


@given(st.lists(worths, min_size=1, max_size=20), st.floats(0, 1e9))
def test_gaps_count_everything_once_by_boot(dropped, now):
    gaps = gaps_of(dropped, now)
    for boot, gap in gaps.items():
        mine = [worth for worth in dropped if worth.boot == boot]
        for kind in ("picture", "update", "new", "end", "other"):
            assert getattr(gap, kind) == sum(worth.kind == kind for worth in mine)
        seqs = [worth.seq for worth in mine if worth.seq]
        assert (gap.from_seq, gap.to_seq) == (min(seqs, default=None), max(seqs, default=None))
    assert set(gaps) == {worth.boot for worth in dropped}


@given(st.lists(worths, min_size=2, max_size=20), st.data())
def test_merging_is_counting_together(dropped, data):
    dropped = [Worth(worth.kind, "a", worth.seq, worth.time) for worth in dropped]
    cut = data.draw(st.integers(1, len(dropped) - 1))
    first, second = gaps_of(dropped[:cut], 1.0)["a"], gaps_of(dropped[cut:], 2.0)["a"]
    assert merged(first, second) == gaps_of(dropped, 2.0)["a"]
