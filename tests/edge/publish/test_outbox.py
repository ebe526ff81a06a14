from __future__ import annotations

import itertools
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette_edge.errors import OutboxError
from vedette_edge.publish.base import Message
from vedette_edge.publish.outbox import Outbox
from vedette_edge.topics import Gap

GAP = "v/gap"


def message(number=0, **changes):
    values = {"topic": f"t/{number}", "payload": json.dumps({"n": number, "hist": False}).encode()}
    return Message(**(values | changes))


def event(seq, kind="new", size=0):
    content = {"type": kind, "seq": seq, "boot": "b", "frame_time": float(seq), "hist": False}
    return Message("v/events", json.dumps(content | {"pad": "x" * size}).encode())


def picture(size=1000):
    return Message("v/heatmap", b"\xff" * size, retain=True, content_type="image/jpeg")


def waiting(outbox, late=False):
    outbox.rewind(late=False)
    taken = [one.message for one in outbox.take(100_000, late=late)]
    outbox.rewind(late=False)
    return taken


def topics(outbox, late=False):
    return [one.topic for one in waiting(outbox, late)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "outbox.db"


@pytest.fixture
def make(path):
    opened = []

    def make(**changes):
        outbox = Outbox(path, gap_topic=GAP, **changes)
        opened.append(outbox)
        return outbox

    yield make
    for outbox in opened:
        outbox.close()


@pytest.fixture
def outbox(make):
    return make()


@pytest.fixture
def full_disk(path):
    """The file system takes no more: a file may not grow beyond its present size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def refuse():
        wal = path.with_name(path.name + "-wal")
        resource.setrlimit(resource.RLIMIT_FSIZE, (wal.stat().st_size, hard))

    def recover():
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    yield refuse, recover
    recover()


def test_a_message_comes_out_as_it_went_in(outbox):
    given = Message("t", b"\xff\x00", 0, True, "image/jpeg", (("a", "1"), ("a", "2")), 12.5)
    outbox.put([given])
    assert waiting(outbox) == [given]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(), max_size=4), max_size=8), st.data())
def test_order_is_kept_whatever_is_put_taken_and_acknowledged(tmp_path_factory, batches, data):
    outbox = Outbox(tmp_path_factory.mktemp("outbox") / "o.db", gap_topic=GAP)
    expected = []
    for batch in batches:
        outbox.put([message(number) for number in batch])
        expected += [f"t/{number}" for number in batch]
        outbox.rewind(late=False)
        stored = outbox.take(100, late=False)
        assert [one.message.topic for one in stored] == expected
        gone = data.draw(st.sets(st.sampled_from(range(len(stored))))) if stored else set()
        outbox.acknowledge([stored[index].id for index in gone])
        expected = [topic for index, topic in enumerate(expected) if index not in gone]
        assert len(outbox) == len(expected)
    outbox.close()


def test_nothing_is_taken_twice_until_the_next_connection(outbox):
    outbox.put([message(n) for n in range(5)])
    first = outbox.take(2, late=False)
    assert [one.message.topic for one in outbox.take(2, late=False)] == ["t/2", "t/3"]
    outbox.acknowledge([first[0].id])
    assert topics(outbox) == ["t/1", "t/2", "t/3", "t/4"]


def test_what_was_there_at_the_start_is_late(path, make):
    first = Outbox(path, gap_topic=GAP)
    first.put([message(1, captured=5.0), message(2, payload=b"jpeg", content_type="image/jpeg", retain=True)])
    first.put([message(3, payload=b'{"no": "such key"}')])
    first.close()
    second = make()
    second.put([message(4, captured=6.0)])
    (live,) = waiting(second)
    late, picture, other = waiting(second, late=True)
    assert (json.loads(late.payload)["hist"], late.captured) == (True, None)
    assert (picture.payload, picture.retain) == (b"jpeg", False)
    assert json.loads(other.payload) == {"no": "such key"}
    assert (json.loads(live.payload)["hist"], live.captured) == (False, 6.0)


def test_an_absence_makes_what_waits_late_and_what_comes_then_is_not(outbox):
    outbox.put([message(1)])
    outbox.rewind(late=True)
    outbox.put([message(2)])
    assert topics(outbox, late=False) == ["t/2"]
    assert topics(outbox, late=True) == ["t/1"]


def test_numbers_are_never_used_again(path, make):
    first = Outbox(path, gap_topic=GAP)
    first.put([message()])
    (stored,) = first.take(1, late=False)
    first.acknowledge([stored.id])
    first.close()
    second = make()
    second.put([message()])
    assert second.take(1, late=False)[0].id > stored.id


def test_a_batch_is_kept_whole_or_not_at_all(outbox):
    with pytest.raises(OutboxError):
        outbox.put([message(1), message(2, topic=None)])
    assert len(outbox) == 0
    assert outbox.trouble == ""


def test_an_event_that_a_killed_agent_left_open_is_ended_once(path, make):
    def told(kind, name, seq):
        content = {"type": kind, "id": name, "seq": seq, "boot": "old", "frame_time": 5.0, "position": 2.0}
        return Message("v/events", json.dumps(content | {"end_time": None, "hist": False}).encode())

    first = Outbox(path, gap_topic=GAP)
    first.put([told("new", "a", 1), told("new", "b", 2)])
    first.put([told("end", "a", 3), told("update", "b", 4)])
    first.close()
    second = Outbox(path, gap_topic=GAP)
    second.end_left_open("new", itertools.count(1).__next__)
    second.put([told("new", "c", 2)])
    *_, end = (json.loads(one.payload) for one in waiting(second, late=True))
    second.close()
    assert (end["type"], end["id"], end["boot"], end["seq"], end["hist"]) == ("end", "b", "new", 1, True)
    assert (end["end_time"], end["end_position"]) == (5.0, 2.0)
    third = make()
    third.end_left_open("newer", itertools.count(1).__next__)
    *_, end = (json.loads(one.payload) for one in waiting(third, late=True))
    assert (end["id"], end["boot"], len(third)) == ("c", "newer", 7)


def test_what_put_returned_from_survives_kill_9(path, make):
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from vedette_edge.publish.base import Message\n"
        "from vedette_edge.publish.outbox import Outbox\n"
        "outbox = Outbox(Path(sys.argv[1]), gap_topic='g')\n"
        "for number in range(10_000):\n"
        "    outbox.put([Message(f't/{number}', b'{}')] * 3)\n"
        "    print(number, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
    for _ in range(50):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    rest = process.communicate()[0].split()
    told = int(rest[-1]) + 1 if rest else 50
    kept = topics(make(), late=True)
    assert len(kept) >= 3 * told
    assert kept == [f"t/{number}" for number in range(len(kept) // 3) for _ in range(3)]


@pytest.mark.parametrize("damage", ["garbage", "middle"])
def test_a_damaged_file_is_set_aside_and_an_empty_one_started(path, make, damage, caplog):
    first = Outbox(path, gap_topic=GAP)
    first.put([message(n, payload=b"x" * 3000, content_type="image/jpeg") for n in range(50)])
    first.close()
    data = bytearray(path.read_bytes())
    if damage == "garbage":
        data = bytearray(b"not a database at all" * 100)
    else:
        data[8192:-4096] = b"\xa5" * (len(data) - 12288)
    path.write_bytes(data)
    second = make()
    assert len(second) == 0
    second.put([message()])
    assert len(second) == 1
    (aside,) = path.parent.glob("outbox.db.damaged-*")
    assert aside.read_bytes() == data
    assert "set aside" in caplog.text


def write_first_version(path, *rows):
    path.parent.mkdir()
    database = sqlite3.connect(path)
    database.execute(
        """CREATE TABLE outbox (
            id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, payload BLOB NOT NULL,
            qos INTEGER NOT NULL, retain INTEGER NOT NULL, content_type TEXT NOT NULL,
            properties TEXT NOT NULL, captured REAL)"""
    )
    insert = "INSERT INTO outbox (topic, payload, qos, retain, content_type, properties) VALUES "
    database.executemany(insert + "(?, ?, 1, 1, ?, '[]')", rows)
    database.commit()
    database.close()


def test_a_file_of_the_first_version_is_brought_up_to_date(path, make):
    write_first_version(
        path,
        ("v/heatmap", b"\xff" * 3000, "image/jpeg"),
        ("v/events", event(1).payload, "application/json"),
    )
    outbox = make(max_bytes=2000)
    assert topics(outbox, late=True) == ["v/heatmap", "v/events"]
    outbox.rewind(late=True)
    outbox.put([event(2)])
    assert topics(outbox, late=True) == ["v/events"]
    (kept, gap) = waiting(outbox)
    assert json.loads(kept.payload)["seq"] == 2
    assert Gap.model_validate_json(gap.payload).picture == 1


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE outbox (other TEXT)", "PRAGMA user_version = 99", "PRAGMA user_version = 1"]
)
def test_a_store_of_another_shape_is_set_aside_and_not_lost(path, make, statement, caplog):
    path.parent.mkdir()
    database = sqlite3.connect(path)
    database.execute(statement)
    database.commit()
    database.close()
    before = path.read_bytes()
    make().put([message()])
    (aside,) = path.parent.glob("outbox.db.unknown-*")
    assert aside.read_bytes()[100:] == before[100:]
    assert "is unknown" in caplog.text


@pytest.mark.usefixtures("outbox")
def test_two_agents_cannot_share_a_store(path):
    with pytest.raises(OutboxError, match="no other agent"):
        Outbox(path, gap_topic=GAP)


def test_a_directory_that_cannot_be_made_is_an_outbox_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutboxError, match="writable"):
        Outbox(tmp_path / "file" / "outbox.db", gap_topic=GAP)


def test_a_closed_store_is_an_outbox_error(path):
    outbox = Outbox(path, gap_topic=GAP)
    outbox.close()
    with pytest.raises(OutboxError):
        outbox.put([message()])
    with pytest.raises(OutboxError):
        outbox.take(1, late=False)


def test_threads_do_not_lose_messages(outbox):
    def write(start):
        for number in range(start, start + 25):
            outbox.put([message(number)])

    threads = [threading.Thread(target=write, args=(100 * n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = topics(outbox)
    assert len(set(kept)) == 75
    assert [t for t in kept if int(t[2:]) < 100] == [f"t/{n}" for n in range(25)]


def test_pictures_go_first_then_updates_and_new_and_end_last(make):
    outbox = make(max_bytes=3500)
    outbox.put([event(1), picture(), event(2, "update", 500), event(3, "end")])
    outbox.put([picture(1500), event(4, "update", 500)])
    assert [one.topic for one in waiting(outbox)] == ["v/events"] * 3 + ["v/heatmap", "v/events", GAP]
    outbox.put([event(5, "new", 2000)])
    *kept, gap = waiting(outbox)
    assert [json.loads(one.payload)["seq"] for one in kept] == [1, 3, 4, 5]
    values = Gap.model_validate_json(gap.payload)
    assert (values.picture, values.update, values.new, values.end) == (2, 1, 0, 0)
    assert (values.boot, values.from_seq, values.to_seq) == ("b", 2, 4)


def test_new_and_end_go_only_when_nothing_else_is_left(make):
    outbox = make(max_bytes=2000)
    outbox.put([event(seq, "new", 300) for seq in range(1, 11)])
    *kept, gap = waiting(outbox)
    seqs = [json.loads(one.payload)["seq"] for one in kept]
    assert seqs == list(range(11 - len(seqs), 11))
    values = Gap.model_validate_json(gap.payload)
    assert (values.new, values.from_seq, values.to_seq) == (10 - len(seqs), 1, 10 - len(seqs))


kinds = st.sampled_from(["picture", "update", "new", "end", "other"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(kinds, st.integers(0, 800), st.booleans()), max_size=40))
def test_what_came_is_what_is_kept_delivered_or_counted_in_gaps(tmp_path_factory, steps):
    outbox = Outbox(tmp_path_factory.mktemp("outbox") / "o.db", gap_topic=GAP, max_bytes=2500)
    came = dict.fromkeys(("picture", "update", "new", "end", "other"), 0)
    delivered = []
    for seq, (kind, size, deliver) in enumerate(steps, 1):
        came[kind] += 1
        if kind == "picture":
            outbox.put([picture(size)])
        else:
            outbox.put([event(seq, kind, size)] if kind != "other" else [message(seq)])
        if deliver:
            taken = outbox.take(1, late=False)
            delivered += [one.message for one in taken]
            outbox.acknowledge([one.id for one in taken])
    accounted = dict.fromkeys(came, 0)
    for one in [*delivered, *waiting(outbox)]:
        if one.topic == GAP:
            gap = Gap.model_validate_json(one.payload)
            for kind in accounted:
                accounted[kind] += getattr(gap, kind)
        elif one.content_type != "application/json":
            accounted["picture"] += 1
        else:
            accounted[json.loads(one.payload).get("type", "other")] += 1
    outbox.close()
    assert accounted == came


def test_what_is_under_way_is_not_dropped(make):
    outbox = make(max_bytes=2500)
    outbox.put([picture(2000)])
    (under_way,) = outbox.take(1, late=False)
    outbox.put([picture(2000), picture(2000)])
    outbox.acknowledge([under_way.id])
    counted = [Gap.model_validate_json(one.payload).picture for one in waiting(outbox) if one.topic == GAP]
    assert counted == [2]


def test_a_record_of_a_gap_survives_a_restart_and_goes_on(path, make):
    first = Outbox(path, gap_topic=GAP, max_bytes=1000)
    first.put([picture(900), event(1)])
    first.put([picture(900), event(2)])
    first.close()
    second = make(max_bytes=1000)
    second.put([picture(900), event(3)])
    gaps = [Gap.model_validate_json(one.payload) for one in waiting(second) if one.topic == GAP]
    assert [(gap.picture, gap.from_seq, gap.to_seq) for gap in gaps] == [(3, 1, 3)]


def test_while_the_disk_refuses_messages_are_kept_in_memory_and_return_to_it(make, full_disk, caplog):
    refuse, recover = full_disk
    clock = [0.0]
    outbox = make(now=lambda: clock[0])
    outbox.put([event(1)])
    refuse()
    outbox.put([event(2), picture(10)])
    outbox.put([event(3)])
    assert "disk" in outbox.trouble
    assert len(outbox) == 4
    assert [json.loads(one.payload)["seq"] for one in waiting(outbox) if one.topic == "v/events"] == [1, 2, 3]
    clock[0] = 6.0
    outbox.tend()
    assert outbox.trouble
    recover()
    outbox.tend()
    assert outbox.trouble, "it is tried again only after five seconds"
    clock[0] = 12.0
    outbox.tend()
    assert (outbox.trouble, len(outbox)) == ("", 4)
    outbox.close()
    assert topics(make(), late=True) == ["v/events", "v/events", "v/heatmap", "v/events"]
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1, "told once"


def test_a_full_disk_at_the_start_ends_nothing_and_stops_nothing(path, make, full_disk):
    refuse, _ = full_disk
    first = Outbox(path, gap_topic=GAP)
    content = {"type": "new", "id": "a", "seq": 1, "boot": "old", "frame_time": 5.0, "hist": False}
    first.put([Message("v/events", json.dumps(content).encode())])
    first.close()
    second = make()
    second.put([message(1)])
    refuse()
    second.end_left_open("new", itertools.count(1).__next__)
    assert second.trouble
    assert topics(second) == ["t/1"]


def test_what_is_delivered_while_the_disk_refuses_is_forgotten_when_it_recovers(make, full_disk):
    refuse, recover = full_disk
    clock = [0.0]
    outbox = make(now=lambda: clock[0])
    outbox.put([event(1)])
    (on_disk,) = outbox.take(1, late=False)
    refuse()
    outbox.put([event(2)])
    (in_memory,) = outbox.take(5, late=False)
    outbox.acknowledge([on_disk.id, in_memory.id])
    assert len(outbox) == 0
    assert waiting(outbox) == []
    recover()
    clock[0] = 6.0
    outbox.tend()
    outbox.close()
    assert len(make()) == 0


def test_the_memory_is_bounded_in_the_same_way(make, full_disk):
    refuse, _ = full_disk
    outbox = make(spare_bytes=5000)
    refuse()
    for seq in range(1, 11):
        outbox.put([picture(2000), event(seq)])
    *kept, gap = [one for one in waiting(outbox) if one.topic != "v/heatmap"]
    assert [json.loads(one.payload)["seq"] for one in kept] == list(range(1, 11))
    assert Gap.model_validate_json(gap.payload).picture >= 8
