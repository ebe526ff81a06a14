"""The whole line on one machine: a signed repository, the updater, and a real agent that takes what comes."""

from __future__ import annotations

import time

import pytest
from edge_helpers import Listener, agent_process, write_video
from tuf_helpers import ReleaseRepository, serving
from visit_helpers import another, bundle_files, device, logs_restored

from vedette_edge.__main__ import main
from vedette_edge.config import load_config
from vedette_edge.ota.layout import Store, look_path
from vedette_edge.ota.record import read_record


@pytest.fixture(scope="module")
def flicker(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("video") / "flicker.mp4", *[(1, False), (1, True)] * 60)


@pytest.mark.slow
def test_a_release_goes_from_the_repository_to_the_alarms(tmp_path, shared_bundle, flicker, broker_port):
    published = ReleaseRepository("fleet-a")
    second = another(shared_bundle, tmp_path / "second", 2)
    with serving(published.files) as server, Listener(broker_port) as listener, logs_restored():
        (tmp_path / "root.json").write_bytes(published.first_root)
        path = device(
            tmp_path,
            camera={"source": {"type": "file", "path": str(flicker)}},
            mqtt={"host": "127.0.0.1", "port": broker_port},
            url=server.url,
            shadow=1.0,
            trial=1.0,
        )
        config = load_config(path)
        record = Store(config.ota.store).model("door").record
        assert main(["ota", "adopt", "door", str(shared_bundle), "--config", str(path)]) == 0
        with agent_process("run", "--config", path):
            before = listener.wait_for("events")
            release = published.release("door", bundle_files(second))
            states, until = [], time.monotonic() + 60
            while states[-1:] != ["idle"] and time.monotonic() < until:
                assert main(["ota", "look", "--config", str(path)]) == 0
                states.append(read_record(record).state)
                time.sleep(0.5)  # the agent needs frames for what it must show
            assert list(dict.fromkeys(states)) == ["shadow", "trial", "idle"]
            found = read_record(record)
            assert (found.committed.release, found.committed.slot) == (1, "b")
            after = listener.wait_for("events", lambda event: event["model_sha256"] == release.digest)
            assert before["model_sha256"] != release.digest
            assert after["boot"] == before["boot"]  # nobody restarted the agent
            # What the path unit waits for: the agent asked for the look that judges its shadow.
            assert look_path(config.state_dir).exists()
