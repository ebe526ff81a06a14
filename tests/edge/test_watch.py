from __future__ import annotations

import hashlib
import json
import threading

import pytest
from edge_helpers import Listener, agent_process, free_port, run_agent_process, wait_until, write_config

from vedette_edge.errors import BrokerError, DataError
from vedette_edge.publish.base import Message
from vedette_edge.publish.wire import Broker, Opened, Wire
from vedette_edge.topics import Topics
from vedette_edge.watch import Ending, Reader, watch

TOPICS = Topics("hall", "n1")
ALL = Topics("+", "+")
JPEG = b"\xff\xd8 a picture"


def event(seq=1, kind="new", jpeg=JPEG, **changes):
    values = {
        "type": kind,
        "id": "01ARYZ6S410000000000000000",
        "seq": seq,
        "boot": "b",
        "camera": "door",
        "label": "fight",
        "score": 0.93,
        "top_score": 0.95,
        "start_time": 1_700_000_000.0,
        "frame_time": 1_700_000_001.0,
        "position": 1.0,
        "start_position": 0.0,
        "area": {"x": 0, "y": 0, "w": 1, "h": 1},
        "hottest": [0.25, 0.75],
        "model_sha256": "0" * 64,
        "picture": {"sha256": hashlib.sha256(jpeg).hexdigest(), "bytes": len(jpeg), "width": 9, "height": 9},
    }
    return json.dumps(values | changes).encode()


def state(name):
    return json.dumps({"state": name, "session": 1, "boot": "b", "ts": 1_700_000_000.0}).encode()


def read_event(reader, payload):
    return reader.read(TOPICS.events("door"), payload)


def test_an_alert_is_one_readable_line():
    (record,) = read_event(Reader(), event())
    for part in ("new", "hall/n1/door", "fight 0.93", "x=0.25 y=0.75", "2023-11-1"):
        assert part in record.line
    assert "\n" not in record.line


def test_health_is_one_readable_line():
    spread = {"count": 3, "p50": 4.0, "p95": 12.5, "max": 13.0}
    values = {"ts": 1_700_000_000.0, "boot": "b", "uptime": 9.0, "frames": 75, "dropped": 2, "windows": 3}
    values |= {"events": 1, "outbox": 4, "inference_ms": spread, "publish_ms": spread, "rss_bytes": 1}
    (record,) = Reader().read(TOPICS.metrics, json.dumps(values).encode())
    assert record.kind == "metrics"
    for part in ("hall/n1", "3 windows", "p95 12.5 ms", "2 frames dropped", "4 messages waiting"):
        assert part in record.line


def test_an_end_says_how_long_and_how_sure():
    (record,) = read_event(Reader(), event(kind="end", end_time=1_700_000_007.5, end_position=7.5))
    assert "after 7.5 s, top 0.95" in record.line


def test_a_late_event_says_so():
    assert "(late)" in read_event(Reader(), event(hist=True))[0].line


def test_duplicates_are_dropped_by_boot_and_seq():
    reader = Reader()
    assert len(read_event(reader, event(1))) == 1
    assert read_event(reader, event(1, hist=True)) == []
    assert len(read_event(reader, event(2, kind="update"))) == 1
    assert len(read_event(reader, event(1, kind="end", boot="next", end_time=1_700_000_002.0))) == 1


def test_programs_get_topic_and_payload():
    (record,) = read_event(Reader(), event())
    assert record.data["topic"] == TOPICS.events("door")
    assert record.data["payload"]["label"] == "fight"


def test_a_picture_is_named_by_its_digest():
    (record,) = Reader().read(TOPICS.heatmap("door"), JPEG)
    assert record.data == {
        "topic": TOPICS.heatmap("door"),
        "sha256": hashlib.sha256(JPEG).hexdigest(),
        "bytes": len(JPEG),
        "path": None,
    }


def test_a_picture_is_saved_when_its_event_comes(tmp_path):
    reader = Reader(tmp_path / "pictures")
    assert reader.read(TOPICS.heatmap("door"), JPEG) == []
    picture, record = read_event(reader, event())
    path = tmp_path / "pictures" / "door-01ARYZ6S410000000000000000-fight.jpg"
    assert path.read_bytes() == JPEG
    assert picture.data["path"] == str(path)
    assert record.kind == "event"
    assert len(read_event(reader, event(2, kind="end"))) == 1
    assert reader.rest() == []


def test_a_picture_without_its_event_is_told_at_the_end(tmp_path):
    reader = Reader(tmp_path)
    reader.read(TOPICS.heatmap("door"), JPEG)
    (record,) = reader.rest()
    assert record.data["path"] is None
    assert reader.rest() == []


@pytest.mark.parametrize("kind", ["state", "events"])
@pytest.mark.parametrize("payload", [b"", b"{}", b"\xff", b"[1]"])
def test_what_breaks_the_contract_is_noise_not_a_failure(kind, payload):
    topic = TOPICS.state if kind == "state" else TOPICS.events("door")
    (record,) = Reader().read(topic, payload)
    assert record.kind == "noise"
    json.dumps(record.data)


class Session:
    """A watch in a thread, and a publisher."""

    def __init__(self, port, ending, reader=None):
        self.records, self.error = [], None
        self._thread = threading.Thread(target=self._run, args=(port, ending, reader or Reader()))
        self._thread.start()
        self.wire = Wire(Broker("127.0.0.1", port), "")
        self.wire.open()
        assert isinstance(self.wire.happened.get(timeout=5), Opened)
        # It listens once a probe has reached it.
        wait_until(self._heard)

    def _heard(self):
        self.send(TOPICS.state, state("init"))
        return bool(self.records)

    def _run(self, port, ending, reader):
        try:
            watch(Broker("127.0.0.1", port, "3.1.1"), ALL, reader, self.records.append, ending, patience=1)
        except Exception as error:
            self.error = error

    def send(self, topic, payload, retain=False):
        self.wire.send(Message(topic, payload, retain=retain))

    def end(self):
        self._thread.join(10)
        assert not self._thread.is_alive()
        self.wire.close()
        return [record for record in self.records if record.kind != "state"]


def test_it_ends_after_so_many_events(broker_port):
    session = Session(broker_port, Ending(count=2, timeout=10))
    for seq in (1, 1, 2):
        session.send(TOPICS.events("door"), event(seq))
    assert len(session.end()) == 2
    assert session.error is None


def test_it_hears_where_updates_stand(broker_port):
    session = Session(broker_port, Ending(count=1, timeout=10))
    model = {"model": "fights", "names": ["main"], "state": "idle", "since": 0, "seq": 1, "runs": None}
    session.send(TOPICS.ota_report, json.dumps({"ts": 1.0, "boot": "b", "models": [model]}).encode())
    session.send(TOPICS.events("door"), event())
    assert [record.kind for record in session.end()] == ["ota/report", "event"]


def test_it_ends_when_a_node_says_disconnected(broker_port):
    session = Session(broker_port, Ending(disconnect=True, timeout=10))
    session.send(TOPICS.state, state("lost"))
    session.send(TOPICS.events("door"), event())
    session.send(TOPICS.state, state("disconnected"))
    assert len(session.end()) == 1
    assert session.error is None


def test_a_retained_farewell_of_the_past_does_not_end_it(broker_port):
    with Listener(broker_port) as listener:
        wire = Wire(Broker("127.0.0.1", broker_port), "")
        wire.open()
        wire.happened.get(timeout=5)
        wire.send(Message(TOPICS.state, state("disconnected"), retain=True))
        listener.wait_for("state")
        wire.close()
    session = Session(broker_port, Ending(disconnect=True, timeout=0.5))
    session.end()
    assert "no node announced" in str(session.error)


def test_it_ends_when_idle(broker_port):
    session = Session(broker_port, Ending(idle=0.3))
    session.send(TOPICS.events("door"), event())
    assert len(session.end()) == 1
    assert session.error is None


def test_missing_events_are_a_failure_after_the_timeout(broker_port):
    session = Session(broker_port, Ending(count=2, timeout=0.6))
    session.send(TOPICS.events("door"), event())
    session.end()
    assert isinstance(session.error, DataError)
    assert "1 of 2 events" in str(session.error)


def test_a_timeout_alone_is_no_failure(broker_port):
    session = Session(broker_port, Ending(timeout=0.3))
    session.end()
    assert session.error is None


def test_pictures_that_cannot_be_saved_are_a_failure(broker_port, tmp_path):
    (tmp_path / "file").touch()
    session = Session(broker_port, Ending(count=1, timeout=10), Reader(tmp_path / "file" / "pictures"))
    session.send(TOPICS.heatmap("door"), JPEG)
    session.send(TOPICS.events("door"), event())
    session.end()
    assert isinstance(session.error, DataError)
    assert "cannot save pictures" in str(session.error)


def test_an_absent_broker_is_a_broker_error():
    with pytest.raises(BrokerError, match="cannot reach"):
        watch(Broker("127.0.0.1", free_port()), ALL, Reader(), print, Ending(), patience=0.0)


def test_the_command_ends_with_1_and_one_line_without_a_broker():
    result = run_agent_process("watch", "--broker", f"127.0.0.1:{free_port()}", "--wait", "0")
    assert result.returncode == 1
    assert result.stderr.startswith("edge-agent: error: cannot reach the MQTT broker")
    assert result.stderr.count("\n") == 1


def test_a_reader_that_goes_away_ends_the_watch_quietly(broker_port):
    wire = Wire(Broker("127.0.0.1", broker_port), "")
    wire.open()
    wire.happened.get(timeout=5)
    with agent_process("watch", "--broker", f"127.0.0.1:{broker_port}", "--timeout", "20") as process:
        process.stdout.close()

        def ended():
            wire.send(Message(TOPICS.state, state("ready")))
            return process.poll() is not None

        wait_until(ended)
        assert process.stderr.read() == ""
        assert process.returncode == 1
    wire.close()


def test_a_demonstration_with_the_embedded_broker(tmp_path, shared_bundle, flash_video):
    port = free_port()
    config = write_config(tmp_path / "c.yaml", shared_bundle, flash_video, 1)
    pictures = tmp_path / "pictures"
    listen = ("watch", "--broker", f"127.0.0.1:{port}", "--json", "--save", pictures, "--until-disconnect")
    with agent_process(*listen, "--wait", "20", "--timeout", "30") as watcher:
        result = run_agent_process(
            "run", "--config", config, "--embedded-broker", f"127.0.0.1:{port}", "--scores", tmp_path / "s"
        )
        out, err = watcher.communicate(timeout=20)
    assert (result.returncode, watcher.returncode, err) == (0, 0, "")
    lines = [json.loads(line) for line in out.splitlines()]
    types = [line["payload"]["type"] for line in lines if line["topic"].endswith("/events")]
    assert types == ["new", "update", "end"]
    saved = [line for line in lines if line["topic"].endswith("/heatmap")]
    assert len(saved) == 2
    (picture,) = pictures.iterdir()
    assert saved[-1]["path"] == str(picture)
    assert hashlib.sha256(picture.read_bytes()).hexdigest() == saved[-1]["sha256"]
    assert "MQTT 3.1.1" in result.stderr
