from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.publish.base import Message
from vedette_edge.publish.counts import ActiveCounts, CountingSink
from vedette_edge.publish.memory import MemorySink
from vedette_edge.topics import Topics

TOPICS = Topics("hall", "n1")


def event(kind, number, label="Fight!"):
    content = {
        "type": kind,
        "id": f"id-{number}",
        "seq": 1,
        "boot": "b",
        "camera": "door",
        "label": label,
        "score": 0.9,
        "top_score": 0.9,
        "start_time": 1.0,
        "frame_time": 1.0,
        "position": 1.0,
        "start_position": 1.0,
        "area": {"x": 0, "y": 0, "w": 1, "h": 1},
        "hottest": [0.5, 0.5],
        "model_sha256": "0" * 64,
    }
    return Message(TOPICS.events("door"), json.dumps(content).encode())


def numbers(messages):
    return [(one.topic.rpartition("/")[2], int(one.payload)) for one in messages]


def test_an_event_counts_from_new_to_end():
    counts = ActiveCounts(TOPICS)
    assert numbers(counts.zero("door", ["Fight!", "calm"])) == [("fight", 0), ("calm", 0)]
    assert numbers(counts.push([event("new", 1)])) == [("fight", 1)]
    assert counts.push([event("update", 1)]) == []
    assert numbers(counts.push([event("new", 2), event("end", 1)])) == [("fight", 2), ("fight", 1)]
    assert numbers(counts.push([event("end", 2)])) == [("fight", 0)]


def test_a_number_is_retained_and_may_be_lost():
    (message,) = ActiveCounts(TOPICS).zero("door", ["calm"])
    assert (message.qos, message.retain, message.topic) == (0, True, TOPICS.count("door", "calm"))


def test_pictures_and_other_topics_do_not_count():
    other = Message(TOPICS.gap, b"{}")
    picture = Message(TOPICS.heatmap("door"), b"\xff", content_type="image/jpeg")
    assert ActiveCounts(TOPICS).push([other, picture]) == []


@given(st.lists(st.tuples(st.sampled_from(["new", "update", "end"]), st.integers(0, 3)), max_size=30))
def test_the_number_is_that_of_events_begun_and_not_ended(steps):
    counts, active, last = ActiveCounts(TOPICS), set(), 0
    for kind, number in steps:
        active = active - {number} if kind == "end" else active | {number}
        for message in counts.push([event(kind, number)]):
            last = int(message.payload)
        assert last == len(active)


def test_the_number_is_told_after_its_event_was_kept():
    sink, told = MemorySink(), []
    counting = CountingSink(
        sink, ActiveCounts(TOPICS), lambda message: told.append((len(sink.messages), message))
    )
    counting.put([event("new", 1)])
    assert [(kept, int(message.payload)) for kept, message in told] == [(1, 1)]
