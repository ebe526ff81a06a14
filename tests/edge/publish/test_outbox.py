from __future__ import annotations

import json
import os
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


def message(number=0, **changes):
    values = {"topic": f"t/{number}", "payload": json.dumps({"n": number, "hist": False}).encode()}
    return Message(**(values | changes))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "outbox.db"


@pytest.fixture
def outbox(path):
    outbox = Outbox(path)
    yield outbox
    outbox.close()


def test_a_message_comes_out_as_it_went_in(outbox):
    given = Message("t", b"\xff\x00", 0, True, "image/jpeg", (("a", "1"), ("a", "2")), 12.5)
    outbox.put([given])
    (stored,) = outbox.peek(10)
    assert stored.message == given


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(), max_size=4), max_size=8), st.data())
def test_order_is_kept_whatever_is_put_peeked_and_acknowledged(tmp_path_factory, batches, data):
    outbox = Outbox(tmp_path_factory.mktemp("outbox") / "o.db")
    expected = []
    for batch in batches:
        outbox.put([message(number) for number in batch])
        expected += [f"t/{number}" for number in batch]
        stored = outbox.peek(100)
        assert [one.message.topic for one in stored] == expected
        gone = data.draw(st.sets(st.sampled_from(range(len(stored))))) if stored else set()
        outbox.acknowledge([stored[index].id for index in gone])
        expected = [topic for index, topic in enumerate(expected) if index not in gone]
        assert len(outbox) == len(expected)
    outbox.close()


def test_peek_goes_on_after_a_number(outbox):
    outbox.put([message(n) for n in range(5)])
    first = outbox.peek(2)
    assert [one.message.topic for one in outbox.peek(2, after=first[-1].id)] == ["t/2", "t/3"]


def test_what_was_there_at_the_start_is_late(path):
    first = Outbox(path)
    first.put([message(1, captured=5.0), message(2, payload=b"jpeg", content_type="image/jpeg")])
    first.put([message(3, payload=b'{"no": "such key"}')])
    first.close()
    second = Outbox(path)
    second.put([message(4, captured=6.0)])
    late, picture, other, live = (one.message for one in second.peek(10))
    second.close()
    assert (json.loads(late.payload)["hist"], late.captured) == (True, None)
    assert picture.payload == b"jpeg"
    assert json.loads(other.payload) == {"no": "such key"}
    assert (json.loads(live.payload)["hist"], live.captured) == (False, 6.0)


def test_numbers_are_never_used_again(path):
    first = Outbox(path)
    first.put([message()])
    (stored,) = first.peek(1)
    first.acknowledge([stored.id])
    first.close()
    second = Outbox(path)
    second.put([message()])
    assert second.peek(1)[0].id > stored.id
    second.close()


def test_a_batch_is_kept_whole_or_not_at_all(outbox):
    with pytest.raises(OutboxError):
        outbox.put([message(1), message(2, payload=None)])
    assert len(outbox) == 0


def test_what_put_returned_from_survives_kill_9(path):
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from vedette_edge.publish.base import Message\n"
        "from vedette_edge.publish.outbox import Outbox\n"
        "outbox = Outbox(Path(sys.argv[1]))\n"
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
    outbox = Outbox(path)
    topics = [one.message.topic for one in outbox.peek(100_000)]
    outbox.close()
    assert len(topics) % 3 == 0
    assert len(topics) >= 3 * told
    assert topics == [f"t/{number}" for number in range(len(topics) // 3) for _ in range(3)]


@pytest.mark.parametrize("damage", ["garbage", "middle"])
def test_a_damaged_file_is_set_aside_and_an_empty_one_started(path, damage, caplog):
    first = Outbox(path)
    first.put([message(n, payload=b"x" * 3000, content_type="image/jpeg") for n in range(50)])
    first.close()
    data = bytearray(path.read_bytes())
    if damage == "garbage":
        data = bytearray(b"not a database at all" * 100)
    else:
        data[4096:-4096] = b"\xa5" * (len(data) - 8192)
    path.write_bytes(data)
    second = Outbox(path)
    assert len(second) == 0
    second.put([message()])
    assert len(second) == 1
    second.close()
    (aside,) = path.parent.glob("outbox.db.damaged-*")
    assert aside.read_bytes() == data
    assert "set aside" in caplog.text


@pytest.mark.usefixtures("outbox")
def test_two_agents_cannot_share_a_store(path):
    with pytest.raises(OutboxError, match="no other agent"):
        Outbox(path)


def test_a_directory_that_cannot_be_made_is_an_outbox_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutboxError, match="writable"):
        Outbox(tmp_path / "file" / "outbox.db")


def test_a_store_of_another_shape_is_not_overwritten(path):
    path.parent.mkdir()
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE outbox (other TEXT)")
    database.close()
    with pytest.raises(OutboxError):
        Outbox(path)
    assert list(path.parent.glob("*damaged*")) == []


def test_a_closed_store_is_an_outbox_error(path):
    outbox = Outbox(path)
    outbox.close()
    with pytest.raises(OutboxError):
        outbox.put([message()])


def test_threads_do_not_lose_messages(outbox):
    def write(start):
        for number in range(start, start + 25):
            outbox.put([message(number)])

    threads = [threading.Thread(target=write, args=(100 * n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    topics = [one.message.topic for one in outbox.peek(1000)]
    assert len(set(topics)) == 75
    assert [t for t in topics if int(t[2:]) < 100] == [f"t/{n}" for n in range(25)]
