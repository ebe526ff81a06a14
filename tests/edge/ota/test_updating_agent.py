"""Real agents that follow a model store, as processes, on a real broker."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import judge_helpers
import pytest
import yaml
from edge_helpers import (
    Listener,
    agent_process,
    edit_manifest,
    run_agent_process,
    wait_until,
    write_config,
    write_video,
)
from following_helpers import installed, write_record, write_store

from vedette_edge.ota.evidence import read_evidence
from vedette_edge.ota.layout import evidence_path, look_path
from vedette_edge.ota.record import Record
from vedette_edge.publish.base import Message
from vedette_edge.topics import Topics

TOPICS = Topics("hall", "node-1")


@pytest.fixture(scope="module")
def flicker(tmp_path_factory):
    """Two minutes in which an event begins every two seconds."""
    return write_video(tmp_path_factory.mktemp("video") / "flicker.mp4", *[(1, False), (1, True)] * 60)


@pytest.fixture
def renewed(shared_bundle, tmp_path):
    directory = shutil.copytree(shared_bundle, tmp_path / "renewed")

    def other_release(values):
        values["release"] = 2
        values["variants"][0]["name"] = "fresh"

    edit_manifest(directory, other_release)
    return directory


@pytest.fixture
def store(tmp_path):
    return tmp_path / "models" / "fights"


@pytest.fixture
def config(tmp_path, store, shared_bundle, flicker, broker_port):
    """Two models, one of them from the store, each on a camera of its own."""
    path = write_config(tmp_path / "agent.yaml", shared_bundle, flicker, broker_port)
    values = yaml.safe_load(path.read_text())
    del values["bundle"]
    values["models"] = {
        "main": {"bundle": str(store), "threads": 1},
        "other": {"bundle": str(shared_bundle), "threads": 1},
    }
    values["cameras"] = [
        {"id": name, "models": [model], "source": {"type": "file", "path": str(flicker)}}
        for name, model in (("door", "main"), ("gate", "other"))
    ]
    values["ota"] = {
        "url": "http://localhost/x",
        "fleet": "f",
        "models": ["fights"],
        "store": str(store.parent),
    }
    path.write_text(yaml.safe_dump(values))
    return path


def updates(listener):
    """Return what was reported of the model, in order."""
    return [
        json.loads(one.payload)["models"][0]
        for one in listener.of("report")
        if one.topic == TOPICS.ota_report
    ]


def told(listener, kind, name):
    return [json.loads(one.payload) for one in listener.of(kind) if f"/cam/{name}/" in one.topic]


def evidence(config):
    return read_evidence(evidence_path(config.parent / "state", "fights"))


def test_a_model_is_exchanged_and_taken_back_while_the_camera_of_another_goes_on(
    config, store, shared_bundle, renewed, broker_port
):
    record = write_store(store, shared_bundle)
    with Listener(broker_port) as listener, agent_process("run", "--config", config) as process:
        birth = listener.wait_for("birth")
        assert {one["name"]: one["release"] for one in birth["models"]} == {"main": 1, "other": None}
        wait_until(lambda: updates(listener), what="the first report")
        assert updates(listener)[0]["runs"]["slot"] == "a"
        wait_until(lambda: told(listener, "events", "gate"), 20, "events of the gate")

        shutil.copytree(renewed, store / "b")
        candidate = installed(store, "b", 2)
        write_record(store, record.model_copy(update={"state": "trial", "candidate": candidate}))
        wait_until(lambda: updates(listener)[-1]["runs"]["release"] == 2, 20, "the candidate")
        birth = listener.wait_for("birth", lambda birth: birth["models"][0]["release"] == 2)
        assert birth["models"][0]["sha256"] == candidate.digest
        wait_until(
            lambda: any(one["model_sha256"] == candidate.digest for one in told(listener, "events", "door")),
            20,
            "events by the candidate",
        )
        wait_until(lambda: evidence(config).verdicts > 0, 20, "evidence")
        assert [one["status"] for one in told(listener, "status", "door")] == ["online"]

        idle = record.model_copy(update={"state": "idle", "candidate": None})
        write_record(store, idle)
        wait_until(lambda: updates(listener)[-1]["runs"]["release"] == 1, 20, "the way back")

        seen = len(told(listener, "events", "gate"))
        wait_until(lambda: len(told(listener, "events", "gate")) > seen, 20, "events of the gate")
        assert [one["status"] for one in told(listener, "status", "gate")] == ["online"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, process.stderr.read()
        seqs = [json.loads(one.payload)["seq"] for one in listener.of("events")]
        door = told(listener, "events", "door")
    assert len(set(seqs)) == len(seqs)
    begun, ended = ([one["id"] for one in door if one["type"] == kind] for kind in ("new", "end"))
    assert sorted(begun) == sorted(ended), "what went on as the model changed has ended"


def test_a_record_that_is_damaged_disturbs_nothing(config, store, shared_bundle, broker_port):
    write_store(store, shared_bundle)
    with Listener(broker_port) as listener, agent_process("run", "--config", config) as process:
        wait_until(lambda: told(listener, "events", "door"), 20, "events of the door")
        (store / "record.json").write_bytes(b"\0" * 100)
        time.sleep(3)
        seen = len(told(listener, "events", "door"))
        wait_until(lambda: len(told(listener, "events", "door")) > seen, 20, "more events")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        log = process.stderr.read()
    assert log.count("what runs goes on") == 1


def test_a_hint_that_is_retained_has_the_updater_look_and_a_forged_one_is_only_counted(
    config, store, shared_bundle, broker_port
):
    write_store(store, shared_bundle)
    look = look_path(config.parent / "state")
    with Listener(broker_port) as listener:
        forged = b'{"campaign": "c", "url": "http://evil/", "sha256": "00"}'
        listener.send(Message(TOPICS.ota_desired, forged, retain=True))
        with agent_process("run", "--config", config) as process:
            wait_until(lambda: updates(listener), 20, "the report")
            time.sleep(1)
            assert not look.exists()
            listener.send(Message(TOPICS.ota_desired, b'{"campaign": "spring", "wave": 1}', retain=True))
            wait_until(look.exists, 10, "the look")
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            log = process.stderr.read()
        listener.send(Message(TOPICS.ota_desired, b"", retain=True))
    assert "ota/desired: ignored: not a hint" in log
    assert "campaign spring, wave 1" in log


CRASHING = """
import os, signal, sys, threading
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import pytest
from judge_helpers import Trouble
from vedette_edge.agent import run_agent

def crash(number):
    if number > int(sys.argv[3]):
        {how}

with pytest.MonkeyPatch.context() as patch:
    Trouble({{"fresh": crash}}).install(patch)
    run_agent(Path(sys.argv[2]))
"""
SEGFAULT = "signal.pthread_kill(threading.get_ident(), signal.SIGSEGV)"
EXIT = "os._exit(3)"


def has_failed(config):
    found = evidence(config)
    return found is not None and bool(found.failed)


def run_until_it_lives(config, how, calls, listener, most):
    """Start the agent again and again, as systemd does; return how it ended, until it lives."""
    helpers, ends = Path(judge_helpers.__file__).parent, []
    command = [sys.executable, "-c", CRASHING.format(how=how), helpers, config, str(calls)]
    for _ in range(most):
        process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, env=dict(os.environ))
        before = len(told(listener, "events", "door"))
        try:
            wait_until(
                lambda process=process, before=before: (
                    process.poll() is not None
                    # A shadow takes its time on a busy machine, while the other model tells events.
                    or (has_failed(config) and len(told(listener, "events", "door")) > before + 3)
                ),
                60,
                "its end, or events",
            )
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0
                return ends
            ends.append(process.returncode)
        finally:
            process.kill()
            process.communicate()
    return ends


@pytest.mark.parametrize(
    ("how", "calls", "state", "starts"),
    [(SEGFAULT, 0, "trial", 2), (SEGFAULT, 4, "trial", 2), (EXIT, 4, "trial", 2), (SEGFAULT, 4, "shadow", 2)],
    ids=["as it is loaded", "in an inference", "by an exit", "in its shadow"],
)
def test_a_candidate_that_takes_the_agent_with_it_ends_in_the_committed_model(
    config, store, shared_bundle, renewed, broker_port, how, calls, state, starts
):
    write_store(store, shared_bundle, renewed, state=state)
    with Listener(broker_port) as listener:
        ends = run_until_it_lives(config, how, calls, listener, most=4)
        report = updates(listener)[-1]
        events = told(listener, "events", "door")
    assert ends == [-signal.SIGSEGV if how == SEGFAULT else 3] * starts
    assert evidence(config).starts == starts
    assert "2 times in a row" in evidence(config).failed
    assert (report["runs"]["slot"], report["failed"]) == ("a", evidence(config).failed)
    assert events[-1]["model_sha256"] == installed(store, "a", 1).digest


def test_one_whose_end_leaves_no_trace_uses_up_its_tries(config, store, shared_bundle, renewed, broker_port):
    write_store(store, shared_bundle, renewed, tries=2)
    with Listener(broker_port) as listener:
        for start in (1, 2):
            with agent_process("run", "--config", config) as process:
                wait_until(
                    lambda start=start: bool(updates(listener)) and updates(listener)[-1]["starts"] == start,
                    30,
                    "the report",
                )
                assert updates(listener)[-1]["runs"]["slot"] == "b"
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0
        with agent_process("run", "--config", config):
            wait_until(lambda: updates(listener)[-1]["runs"]["slot"] == "a", 30, "the committed model")
    assert evidence(config).failed == "the agent was started 2 times with it, and each time it ended"


def test_a_candidate_that_raises_is_left_without_a_restart(
    config, store, shared_bundle, renewed, broker_port
):
    write_store(store, shared_bundle, renewed)
    how = "raise __import__('vedette_edge.errors').errors.RuntimeBackendError('no memory')"
    with Listener(broker_port) as listener:
        ends = run_until_it_lives(config, how, 6, listener, most=2)
        assert ends == []
        report = updates(listener)[-1]
    assert report["runs"]["slot"] == "a"
    assert "'fresh' failed twice: no memory" in report["failed"]
    assert look_path(config.parent / "state").exists(), "the updater is asked to look"


def test_an_agent_without_a_model_says_what_to_do(config):
    result = run_agent_process("run", "--config", config)
    assert result.returncode == 2
    assert "edge-agent ota adopt" in result.stderr
    checked = run_agent_process("check-config", config)
    assert checked.returncode == 0, checked.stderr
    assert "has no model yet" in checked.stdout
    assert Record(model="fights").committed is None
