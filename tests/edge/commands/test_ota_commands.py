"""`edge-agent ota` with a real, signed repository on a real web server, real disks and real probes."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time

import pytest
from edge_helpers import edit_manifest
from tuf_helpers import ReleaseRepository, serving
from visit_helpers import Device, RepositoryTwin, another, bundle_files, device, logs_restored

from vedette_edge.__main__ import main
from vedette_edge.ota.layout import look_path
from vedette_edge.ota.lock import only_one


@pytest.fixture
def published():
    return ReleaseRepository("fleet-a")


@pytest.fixture
def node(tmp_path, published):
    """A device that looks at the repository; `node.run` runs a command on it."""
    with serving(published.files) as server, logs_restored():
        (tmp_path / "root.json").write_bytes(published.first_root)
        yield _Node(tmp_path, server)


class _Node:
    def __init__(self, directory, server):
        self.directory = directory
        self.server = server
        self.configure()

    def configure(self, **settings):
        self.path = device(self.directory, **{"url": self.server.url} | settings)
        self.device = Device(self.path, RepositoryTwin())

    def run(self, *arguments):
        return main(["ota", *map(str, arguments), "--config", str(self.path)])

    def told(self, capsys):
        """Return what `status` says of the models, by name."""
        capsys.readouterr()
        assert self.run("status", "--json") == 0
        return {one["model"]: one for one in json.loads(capsys.readouterr().out)}


def test_a_model_from_the_factory_is_replaced_by_a_signed_release(
    node, published, shared_bundle, tmp_path, capsys
):
    assert node.run("adopt", "door", shared_bundle) == 0
    assert "is the committed model 'door' now, in slot a" in capsys.readouterr().out
    second = another(shared_bundle, tmp_path / "second", 2)
    published.release("door", bundle_files(second))
    for state in ("shadow", "trial", "idle"):
        assert node.run("look") == 0
        told = node.told(capsys)["door"]
        assert told["record"]["state"] == state
        if state != "idle":
            node.device.sees()
    assert (told["record"]["committed"]["slot"], told["record"]["committed"]["release"]) == ("b", 1)
    assert bundle_files(node.device.ota.store / "door" / "b") == bundle_files(second)
    assert told["record"]["outcome"]["result"] == "committed"


def test_a_look_without_news_costs_three_requests_at_most(node, published, shared_bundle, capsys):
    published.release("door", bundle_files(shared_bundle))
    for _ in range(3):
        assert node.run("look") == 0
        if node.device.record().candidate:
            node.device.sees()
    assert node.device.record().committed.release == 1
    node.server.requests.clear()
    before = node.server.sent
    assert node.run("look") == 0
    assert len(node.server.requests) <= 3
    assert node.server.sent - before <= 1000
    assert "1 committed" in capsys.readouterr().out


def test_a_release_with_wrong_outputs_is_refused_before_it_runs(
    node, published, shared_bundle, tmp_path, capsys
):
    node.run("adopt", "door", shared_bundle)
    bad = another(shared_bundle, tmp_path / "bad", 2)
    edit_manifest(bad, lambda values: values["golden"].update(logits=values["golden"]["inputs"]))
    published.release("door", bundle_files(bad))
    assert node.run("look") == 0
    record = node.device.record()
    assert (record.state, record.outcome.result, record.committed.release) == ("idle", "refused", 0)
    assert "probe" in record.outcome.reason
    assert "door: release 1 refused: its probe" in capsys.readouterr().out


def test_a_repository_that_is_away_is_one_sentence_and_a_trial_goes_on_without_it(
    node, published, shared_bundle, capsys
):
    published.release("door", bundle_files(shared_bundle))
    node.run("look")
    node.device.sees()
    node.configure(url="http://127.0.0.1:9")
    (node.directory / "root.json").unlink()
    assert node.run("look") == 1
    # The trial was judged, and only then the repository was asked for more.
    assert node.device.record().committed.release == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("edge-agent: error: model 'door': ")
    assert "cannot read the repository's root metadata" in error


def test_what_the_agent_asks_for_during_a_look_is_done_in_it(node, published, shared_bundle):
    published.release("door", bundle_files(shared_bundle))
    hint = look_path(node.device.config.state_dir)
    hint.parent.mkdir(parents=True)

    def asked(handler):
        node.server.answers.clear()
        hint.touch()
        body = published.files["metadata/timestamp.json"]
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    node.server.answers["metadata/timestamp.json"] = asked
    assert node.run("look") == 0
    assert (
        node.server.paths.count("metadata/timestamp.json") == 1
    )  # the second round only waits for the agent
    assert node.device.record().state == "trial"


def test_a_second_look_at_the_same_time_says_so_and_ends_with_0(node, capsys):
    with only_one(node.device.ota.store):
        assert node.run("look") == 0
    assert "another visit is under way" in capsys.readouterr().out


@pytest.mark.parametrize("action", ["look", "status"])
def test_without_a_section_there_is_nothing_to_do(node, shared_bundle, action, capsys):
    text = node.path.read_text()
    node.path.write_text(text[: text.index("ota:")] + text[text.index("site:") :])
    assert node.run(action) == 0
    assert "has no section ota" in capsys.readouterr().out
    assert node.run("adopt", "door", shared_bundle) == 2
    assert "has no section ota" in capsys.readouterr().err


def test_status_is_a_table_and_a_line_for_each_reason(node, shared_bundle, capsys):
    assert node.run("status") == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["MODEL", "STATE", "FOR", "COMMITTED", "CANDIDATE", "SEEN", "LAST", "REFUSED"]
    assert row.split()[:3] == ["door", "never", "visited"]
    node.run("adopt", "door", shared_bundle)
    capsys.readouterr()
    assert node.run("status") == 0
    assert "0 in a, " in capsys.readouterr().out


def test_what_cannot_be_read_is_told_and_ends_with_1(node, shared_bundle, capsys):
    node.run("adopt", "door", shared_bundle)
    (node.device.ota.store / "door" / "record.json").write_text("{")
    capsys.readouterr()
    assert node.run("status") == 1
    assert "is no valid record" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spoil", "why", "code"),
    [
        (lambda bundle: (bundle / "model.onnx").write_bytes(b"x"), "is not the file", 1),
        (lambda bundle: (bundle / "manifest.json").unlink(), "manifest.json", 1),
        (shutil.rmtree, "manifest.json", 1),
    ],
)
def test_only_a_whole_bundle_is_adopted(node, bundle_dir, spoil, why, code, capsys):
    spoil(bundle_dir)
    assert node.run("adopt", "door", bundle_dir) == code
    error = capsys.readouterr().err
    assert why in error
    assert len(error.splitlines()) == 1
    assert node.device.record().committed is None


def test_a_model_that_is_not_in_the_section_is_not_adopted(node, shared_bundle, capsys):
    assert node.run("adopt", "gate", shared_bundle) == 2
    assert "ota.models has no 'gate'; it has: door" in capsys.readouterr().err


def test_the_agents_command_line_does_not_load_the_updater():
    script = "import sys, vedette_edge.__main__; sys.exit('tuf' in sys.modules)"
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", script]) == 0


def test_no_transition_is_missing_in_the_log_of_a_service(node, published, shared_bundle, capsys):
    node.run("adopt", "door", shared_bundle)
    published.release("door", bundle_files(shared_bundle))
    capsys.readouterr()
    assert node.run("look", "--log", "json") == 0
    told = capsys.readouterr()
    lines = [json.loads(line) for line in told.err.splitlines()]
    assert [line["state"] for line in lines if line.get("event") == "ota"] == [
        *("space", "fetch", "verify", "staged", "probe", "shadow"),
    ]
    assert told.out == ""


def test_a_trial_says_what_was_seen(node, published, shared_bundle, capsys):
    published.release("door", bundle_files(shared_bundle))
    node.run("look")
    node.device.now = time.time()
    node.device.sees(seconds=12.0, verdicts=7)
    capsys.readouterr()
    node.run("status")
    assert "12 s, 7 verdicts, 1 starts" in capsys.readouterr().out
