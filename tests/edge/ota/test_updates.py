"""The agent's part of updates, with real little models and without cameras' threads."""

from __future__ import annotations

import shutil
import time
from types import SimpleNamespace

import numpy as np
import pytest
from edge_helpers import FPS, FRAMES, add_variant, brightness_model, edit_manifest, wait_until
from following_helpers import installed, write_record, write_store
from judge_helpers import Trouble, failing, shades, write_picture_bundle

from vedette_edge.config import AgentConfig
from vedette_edge.engine.ledger import Fall, Ledger, key_of
from vedette_edge.errors import ConfigError, OutboxError, UpdateError, VedetteError
from vedette_edge.ota.bundles import resolved
from vedette_edge.ota.evidence import Usual, read_evidence
from vedette_edge.ota.layout import evidence_path
from vedette_edge.ota.record import Record
from vedette_edge.ota.updates import begin

FRAMES_OF = shades(np.arange(4 * FRAMES) / FPS)


@pytest.fixture
def renewed(shared_bundle, tmp_path):
    """The model once more, as another release."""
    directory = shutil.copytree(shared_bundle, tmp_path / "renewed")
    edit_manifest(directory, lambda values: values.update(release=2))
    return directory


@pytest.fixture
def store(tmp_path):
    return tmp_path / "models" / "fights"


@pytest.fixture
def config(tmp_path, store):
    ota = {"url": "http://x", "fleet": "f", "models": ["fights"], "store": str(store.parent), "trial": 1.0}
    values = {
        "site": "hall",
        "node": "n1",
        "state_dir": str(tmp_path / "state"),
        "models": {"main": {"bundle": str(store), "threads": 1}},
        "cameras": [{"id": "door", "source": {"type": "file", "path": "v.mp4"}}],
        "ota": ota,
    }
    return AgentConfig.model_validate(values, strict=False)


class Device:
    """An agent without cameras: its supervisor looks when it is told to, every two seconds of its clock."""

    def __init__(self, config):
        self.config = config
        self.changes = []
        self.updates, self.models = begin(config, lambda *what: self.changes.append(what))
        self.cameras = []
        self.clock = 1000.0
        self.updates._clock = lambda: self.clock

    def converge(self):
        while True:
            try:
                self.models = self.updates.selection.load(
                    self.updates.selection.applied(self.config), lambda *_: None
                )
            except VedetteError as error:
                if not self.updates.blame(error):
                    raise
                continue
            return self.updates.took(self.models)

    def look(self):
        self.clock += 10
        self.updates.tick(self.models, self.cameras, self.converge)
        return self.slot

    def judge(self, frames=FRAMES_OF):
        model = self.models["main"]
        judge = self.updates.tapped("door", model, model.judge(model.manifest.decision))
        return [verdict for frame in frames for verdict in judge.push(frame)[0]]

    @property
    def slot(self):
        return self.updates.selection.running["main"].slot

    @property
    def evidence(self):
        return read_evidence(evidence_path(self.config.state_dir, "fights"))

    def close(self):
        self.updates.close()
        self.models.close()


@pytest.fixture
def device(config):
    devices = []

    def start():
        devices.append(Device(config))
        return devices[-1]

    yield start
    for one in devices:
        one.close()


def test_the_committed_slot_of_a_store_runs(device, store, shared_bundle):
    write_store(store, shared_bundle)
    found = device()
    assert (found.slot, found.models["main"].bundle.directory) == ("a", store / "a")
    assert found.evidence is None
    assert found.look() == "a"


@pytest.mark.parametrize("empty", ["nothing", "record"])
def test_a_store_without_a_model_is_one_clear_error(device, config, store, empty):
    if empty == "record":
        store.mkdir(parents=True)
        write_record(store, Record(model="fights"))
    for run in (device, lambda: resolved(config)):
        with pytest.raises(ConfigError, match="has no model yet; put one there with `edge-agent ota adopt`"):
            run()


def test_a_store_whose_record_cannot_be_read_does_not_start_and_says_so(device, store, shared_bundle):
    write_store(store, shared_bundle)
    (store / "record.json").write_bytes(b"")
    with pytest.raises(UpdateError, match="is no valid record") as caught:
        device()
    assert caught.value.model == "main"


def test_a_plain_bundle_is_left_as_it_is(config, shared_bundle):
    plain = config.model_copy(update={"models": {"main": config.models["main"].model_copy()}})
    plain = plain.model_copy(
        update={"models": {"main": config.models["main"].model_copy(update={"bundle": shared_bundle})}}
    )
    assert resolved(plain) == plain


def test_what_commands_look_at_is_what_the_agent_runs(device, config, store, shared_bundle, renewed):
    write_store(store, shared_bundle, renewed)
    assert resolved(config).every_model["main"].bundle == store / "b"
    found = device()
    found.updates._leave("main", "it is slow")
    assert resolved(config).every_model["main"].bundle == store / "a"


def test_a_trial_begins_and_ends_while_the_agent_runs(device, store, shared_bundle, renewed):
    record = write_store(store, shared_bundle)
    found = device()
    found.judge()
    shutil.copytree(renewed, store / "b")
    candidate = installed(store, "b", 2)
    write_record(store, record.model_copy(update={"state": "trial", "candidate": candidate}))
    assert found.look() == "b"
    assert found.models["main"].bundle.digest == candidate.digest
    assert (found.evidence.starts, found.evidence.usual) == (1, found.evidence.usual)
    assert isinstance(found.evidence.usual, Usual)
    write_record(store, record.model_copy(update={"state": "idle", "committed": candidate}))
    model = found.models["main"]
    assert found.look() == "b"
    assert found.models["main"] is model, "nothing is loaded again"


def test_verdicts_are_evidence_and_the_updater_is_asked_to_look_when_it_has_enough(
    device, config, store, shared_bundle, renewed
):
    write_store(store, shared_bundle, renewed)
    found = device()
    look = config.state_dir / "ota" / "look"
    clock = found.updates._trials._witnesses["main"][1]
    times = iter(np.arange(0, 100, 0.25))
    clock._clock = lambda: next(times)
    found.judge()
    found.look()
    assert found.evidence.seconds == pytest.approx(3.0, abs=0.8)
    assert (found.evidence.verdicts, found.evidence.failed) == (7, "")
    assert found.evidence.p95_ms > 0
    found.look()
    assert look.exists()


def test_a_candidate_that_cannot_be_loaded_is_left_at_the_start(device, store, shared_bundle, renewed):
    (renewed / "model.onnx").write_bytes(b"broken")
    write_store(store, shared_bundle, renewed)
    found = device()
    assert (found.slot, found.evidence.starts) == ("a", 1)
    assert "model.onnx is not the file that manifest.json names" in found.evidence.failed


def test_a_candidate_that_cannot_be_loaded_leaves_the_model_that_runs_alone(
    device, store, shared_bundle, renewed
):
    record = write_store(store, shared_bundle)
    found = device()
    shutil.copytree(renewed, store / "b")
    candidate = installed(store, "b", 2)
    (store / "b" / "golden_logits.npy").write_bytes(b"")
    write_record(store, record.model_copy(update={"state": "trial", "candidate": candidate}))
    assert found.look() == "a"
    assert found.evidence.failed
    assert found.judge()


def test_a_candidate_that_does_not_fit_the_cameras_is_left(store, shared_bundle, renewed, config):
    def other_labels(values):
        for label, name in zip(values["labels"], ("calm", "dark"), strict=True):
            label["name"] = name

    edit_manifest(renewed, other_labels)
    write_store(store, shared_bundle, renewed)
    door = config.cameras[0].model_copy(update={"labels": ("bright",)})
    found = Device(config.model_copy(update={"cameras": (door,)}))
    assert (found.slot, found.evidence.failed.split(":")[0]) == ("a", "camera 'door', labels")
    found.close()


def test_a_slot_that_holds_another_bundle_than_its_record_says_is_not_tried(
    device, store, shared_bundle, renewed
):
    write_store(store, shared_bundle, renewed)
    edit_manifest(store / "b", lambda values: values.update(release=3))
    found = device()
    assert found.slot == "a"
    assert "and its record says" in found.evidence.failed


def test_a_candidate_that_fails_in_an_inference_is_left_though_another_variant_could_go_on(
    device, store, shared_bundle, renewed, monkeypatch
):
    add_variant(renewed, "twin", brightness_model())
    edit_manifest(renewed, lambda values: values["variants"][0].update(name="fresh"))
    write_store(store, shared_bundle, renewed)
    Trouble({"fresh": failing(after=2)}).install(monkeypatch)
    found = device()
    assert len(found.judge()) == 7, "until the supervisor looks, the other variant goes on"
    assert found.models["main"].variant.name == "twin"
    assert found.look() == "a"
    assert "'fresh' failed twice" in found.evidence.failed


def test_to_spare_the_device_is_no_failure(device, store, shared_bundle, renewed):
    write_store(store, shared_bundle, renewed)
    found = device()
    found.models["main"].spare(on=True)
    assert found.look() == "b"


@pytest.mark.parametrize(
    ("error", "slot"), [(ValueError("shapes differ"), "a"), (OutboxError("the disk is full"), "b")]
)
def test_a_camera_that_ends_with_a_candidate_is_held_against_it_unless_it_was_the_disk(
    device, store, shared_bundle, renewed, error, slot
):
    write_store(store, shared_bundle, renewed)
    found = device()
    camera = SimpleNamespace(error=error, frames=1, dropped=0)
    found.cameras = [
        SimpleNamespace(camera=camera, watching={"main": None}, config=SimpleNamespace(id="door"))
    ]
    assert found.updates.answers_for(found.models, found.cameras) is (slot == "a")
    assert found.look() == slot


def test_scores_that_are_no_numbers_end_the_trial(device, store, shared_bundle, renewed):
    write_store(store, shared_bundle, renewed)
    found = device()
    verdicts = found.judge()
    verdicts[0].probabilities[:] = np.nan
    found.updates._trials.tell("door", found.models["main"], FRAMES_OF[0], verdicts)
    assert found.look() == "a"
    assert found.evidence.failed == "its scores are not numbers"


def test_a_hang_is_on_the_disk_before_the_process_ends(device, store, shared_bundle, renewed):
    write_store(store, shared_bundle, renewed)
    found = device()
    found.updates.hung("main", "an inference hung for 20 s")
    assert found.evidence.failed == "an inference hung for 20 s"
    assert device().slot == "a"


def test_one_that_took_its_process_with_it_twice_is_left_though_it_has_tries(
    device, store, shared_bundle, renewed, config
):
    write_store(store, shared_bundle, renewed, tries=100)
    found = device()
    assert found.updates.selection._ledger.ledger.runs["main"].update
    found.close()
    digest = installed(store, "b", 2).digest
    fall = Fall(count=2, last=time.time(), why="its process ended in an inference")
    ledger = Ledger(falls={key_of(digest, "onnx-fp32"): fall})
    (config.state_dir / "engine" / "ledger.json").write_text(ledger.model_dump_json())
    found = device()
    assert found.slot == "a"
    assert found.evidence.failed == "its process ended in an inference, 2 times in a row"


def test_another_bundle_in_the_slot_that_runs_is_noticed(device, store, shared_bundle, renewed):
    write_store(store, shared_bundle)
    found = device()
    shutil.rmtree(store / "a")
    shutil.copytree(renewed, store / "a")
    write_record(store, Record(model="fights", committed=installed(store, "a", 2)))
    found.clock += 10
    asked = []
    found.updates.tick(found.models, [], lambda: asked.append(found.updates.selection.applied(found.config)))
    assert len(asked) == 1
    assert found.updates.selection.anew == ["main"]


def test_the_shadow_is_begun_judges_and_ends(device, store, shared_bundle, renewed):
    record = write_store(store, shared_bundle, renewed, state="shadow")
    found = device()
    assert found.look() == "a"
    shadow = found.updates._trials._shadows["main"][1]
    wait_until(lambda: shadow._model is not None, what="the shadow")
    model = found.models["main"]
    judge = found.updates.tapped("door", model, model.judge(model.manifest.decision))
    for frame in FRAMES_OF:
        judge.push(frame)
        wait_until(lambda: shadow._queue.qsize() == 0, what="the shadow's progress")
    wait_until(lambda: shadow.figures.compared == 7, what="what it compared")
    assert found.look() == "a"
    assert found.evidence.phase == "shadow"
    assert found.evidence.shadow.agreed == found.evidence.shadow.compared == 7
    (report,) = found.updates.reports()
    assert report.shadow == found.evidence.shadow
    write_record(store, record.model_copy(update={"state": "trial"}))
    assert found.look() == "b"
    assert found.updates._trials._shadows == {}
    assert found.evidence.phase == "trial"
    assert found.evidence.shadow.compared == 7


def test_a_shadow_that_fails_is_told_and_alarms_go_on(device, store, shared_bundle, tmp_path):
    broken = shutil.copytree(shared_bundle, tmp_path / "broken")
    (broken / "model.onnx").write_bytes(b"")
    write_store(store, shared_bundle, broken, state="shadow")
    found = device()
    found.look()
    wait_until(lambda: found.look() and found.evidence.failed, what="the failure")
    assert found.slot == "a"
    assert found.judge()
    found.look()
    assert found.updates._trials._shadows == {}


def test_of_an_anomaly_model_each_picture_is_compared(device, store, tmp_path):
    bundle = write_picture_bundle(tmp_path / "pictures")
    other = shutil.copytree(bundle, tmp_path / "others")
    edit_manifest(other, lambda values: values.update(release=2))
    write_store(store, bundle, other, state="shadow")
    found = device()
    found.look()
    shadow = found.updates._trials._shadows["main"][1]
    wait_until(lambda: shadow._model is not None, what="the shadow")
    found.judge(FRAMES_OF[:10])
    wait_until(lambda: shadow.figures.agreed == 10, what="ten pictures")


def test_news_come_once_for_each_thing_that_changes(device, store, shared_bundle, renewed):
    record = write_store(store, shared_bundle, renewed)
    found = device()
    (report,) = found.updates.news()
    assert (report.model, report.names, report.state, report.starts) == ("fights", ("main",), "trial", 1)
    assert (report.runs.release, report.runs.slot, report.runs.campaign) == (2, "b", "c2")
    found.judge()
    found.look()
    assert found.updates.news() is None
    found.updates._leave("main", "slow")
    found.look()
    (report,) = found.updates.news()
    assert (report.failed, report.runs.slot) == ("slow", "a")
    outcome = {"release": 2, "digest": "b" * 64, "result": "rolled-back", "ts": 1.0}
    write_record(
        store,
        Record.model_validate(record.model_dump() | {"state": "idle", "candidate": None, "outcome": outcome}),
    )
    found.look()
    (report,) = found.updates.news()
    assert report.outcome.result == "rolled-back"


def test_where_no_model_is_updated_there_is_no_news(config, shared_bundle):
    model = config.models["main"].model_copy(update={"bundle": shared_bundle})
    found = Device(config.model_copy(update={"models": {"main": model}, "ota": None}))
    found.look = lambda: None
    assert found.updates.news() is None
    found.close()
