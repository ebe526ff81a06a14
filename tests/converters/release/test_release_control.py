"""A rollout is driven by what nodes report."""

import json
from datetime import timedelta

import pytest
from edge_helpers import MOSQUITTO, edit_manifest, free_port, mosquitto, wait_until
from release_helpers import NOW, Device, KilledError

from vedette_converters.release.campaigns import apply, begin, read_state, states, turned
from vedette_converters.release.control import Controller
from vedette_converters.release.policy import Policy
from vedette_converters.release.reports import Nodes
from vedette_converters.release.room import Broker, MqttRoom
from vedette_edge.errors import UpdateError, UsageError
from vedette_edge.ota.payloads import ModelReport, OtaReport, read_desired
from vedette_edge.ota.record import Installed, Outcome
from vedette_edge.ota.release import takes_part

NODES = [f"node-{n}" for n in range(40)]
POLICY = Policy(waves=(0.25, 1.0), least=5, hold=60, success=0.9, abort_errors=0.1)


def installed(release, campaign=None):
    return Installed(slot="a", release=release, digest="0" * 64, campaign=campaign or f"people-{release}")


def report(release=1, result=None, *, candidate=None, runs=0, model="people"):
    """Return what an agent says: an outcome of a release, or that it is under way."""
    outcome = result and Outcome(
        release=release, digest="0" * 64, campaign=f"people-{release}", result=result, ts=0.0
    )
    one = ModelReport(
        model=model, names=(model,), state="idle", since=0.0, seq=1,
        runs=installed(release if result == "committed" else runs, "by-hand" if not runs else None),
        candidate=candidate, outcome=outcome,
    )  # fmt: skip
    if result == "committed":
        one = one.model_copy(update={"runs": installed(release)})
    return OtaReport(ts=0.0, boot="b", models=(one,)).model_dump_json().encode()


class Hall:
    """A control room without a broker."""

    def __init__(self):
        self.waiting = []
        self.said = []

    def heard(self):
        waiting, self.waiting = self.waiting, []
        return waiting

    def say(self, topic, payload):
        self.said.append((topic, json.loads(payload)))

    def node(self, name, payload, what="ota/report"):
        self.waiting.append((f"vedette/v1/hall/{name}/{what}", payload))


class Scene:
    def __init__(self, site, bundle, policy=POLICY):
        self.site, self.bundle, self.hall = site, bundle, Hall()
        self.now = NOW
        self.release(share=0.0)
        self.start(policy)
        self.controller = self.new_controller()

    def release(self, **wanted):
        edit_manifest(self.bundle, lambda values: values.update(release=values["release"] + 1))
        self.site.add(self.bundle, **wanted)
        self.site.publish()

    def start(self, policy=POLICY, first=()):
        with self.site.repository.alone():
            state = begin(self.site.repository, "gates", "people", policy, first, self.now)
            apply(self.site.repository, state, self.site.signers.get, self.now)

    def turn(self, turn):
        with self.site.repository.alone():
            state = turned(read_state(self.site.repository, "gates", "people"), turn, self.now)
            apply(self.site.repository, state, self.site.signers.get, self.now)

    def new_controller(self, **options):
        return Controller(
            self.site.repository, "gates", "people", signers=self.site.signers.get, room=self.hall,
            clock=lambda: self.now, **options,
        )  # fmt: skip

    def step(self, seconds=0):
        self.now += timedelta(seconds=seconds)
        return self.controller.step()

    def members(self):
        rollout = self.rollout
        return [node for node in NODES if takes_part(rollout, node)]

    @property
    def rollout(self):
        return Device(self.site).offer()[1]


@pytest.fixture
def scene(site, bundle):
    return Scene(site, bundle)


def test_waves_follow_each_other_until_all_have_it(scene):
    assert scene.rollout.share == 0.25
    for node in NODES:
        scene.hall.node(node, report())
    assert scene.step().counts.known == 40
    for node in scene.members():
        scene.hall.node(node, report(1, "committed"))
    assert scene.step().decision.action == "wait", "it is held"
    assert scene.step(61).decision.action == "widen"
    assert scene.rollout.share == 1.0
    for node in NODES:
        scene.hall.node(node, report(1, "committed"))
    done = scene.step(61)
    assert (done.decision.action, done.over) == ("finish", True)
    assert [state.phase for state in states(scene.site.repository)] == ["done"]


def test_who_takes_part_is_asked_to_look_once_a_campaign(scene):
    for node in NODES:
        scene.hall.node(node, report())
    scene.step()
    scene.step()
    members = scene.members()
    assert sorted(topic for topic, _ in scene.hall.said) == sorted(
        f"vedette/v1/hall/{node}/ota/desired" for node in members
    )
    for _, payload in scene.hall.said:
        assert read_desired(json.dumps(payload).encode()).campaign == "people-1"


def test_failures_end_it_and_nobody_begins_any_more(scene):
    for node in NODES:
        scene.hall.node(node, report())
    scene.step()
    for node in scene.members()[:5]:
        scene.hall.node(node, report(1, "rolled-back"))
    step = scene.step()
    assert (step.decision.action, step.state.phase) == ("abort", "aborted")
    assert scene.rollout.paused
    assert scene.members() == []
    with pytest.raises(UsageError, match=r"was aborted .*: add a mended release"):
        scene.turn("resume")


def test_after_an_abort_the_old_files_come_as_a_new_release_where_that_is_wanted(scene):
    scene.release(share=0.0)
    scene.start()
    scene.controller = scene.new_controller(reverts=True)
    for node in scene.members():
        scene.hall.node(node, report(2, "refused"))
    assert scene.step().decision.action == "abort"
    release, rollout = Device(scene.site).offer()
    assert (release.release, rollout.share, rollout.paused) == (3, 1.0, False)
    assert release.notes.startswith("instead of release 2: 0 of ")


def test_a_pause_stops_and_a_resume_goes_on(scene):
    for node in NODES:
        scene.hall.node(node, report(1, "committed"))
    scene.turn("pause")
    assert scene.rollout.paused
    assert scene.step(61).over
    assert scene.rollout.share == 0.25
    scene.turn("resume")
    assert not scene.rollout.paused
    assert scene.step(61).decision.action == "widen"


def test_an_operator_may_widen_and_abort(scene):
    scene.turn("widen")
    assert scene.rollout.share == 1.0
    with pytest.raises(UsageError, match="everybody takes part"):
        scene.turn("widen")
    scene.turn("abort")
    for turn in ("abort", "pause", "widen"):
        with pytest.raises(UsageError, match="aborted"):
            scene.turn(turn)


def test_a_node_that_is_gone_and_has_not_finished_is_not_waited_for(scene):
    members = scene.members()
    for node in members[1:]:
        scene.hall.node(node, report(1, "committed"))
    scene.hall.node(members[0], report())
    scene.controller = scene.new_controller()
    assert scene.step(61).counts.pending == 1
    scene.hall.node(members[0], b'{"state": "lost", "session": 1, "boot": "b"}', "state")
    assert scene.step().counts.pending == 0
    scene.hall.node(members[0], b'{"state": "ready", "session": 2, "boot": "b"}', "state")
    scene.hall.node(members[0], report(1, "rolled-back"))
    assert scene.step().counts.failed == 1


def test_a_controller_that_is_killed_goes_on_where_it_stood(scene):
    for node in NODES:
        scene.hall.node(node, report(1, "committed"))
    heard = list(scene.hall.waiting)
    scene.site.disk.steps.clear()
    scene.site.disk.dies_at = 1
    with pytest.raises(KilledError):
        scene.step(61)
    scene.site.disk.dies_at = None
    assert scene.rollout.share == 0.25, "the state was kept, and is not published yet"
    scene.controller = scene.new_controller()
    scene.hall.waiting = heard
    assert scene.step().state.wave == 1
    assert scene.rollout.share == 1.0


def test_a_newer_release_ends_the_rollout_of_the_old(scene):
    scene.release(share=0.0)
    with pytest.raises(UsageError, match="another release is current"):
        scene.step()
    scene.start()
    assert scene.step().state.campaign == "people-2"


def test_a_rollout_is_not_begun_twice_and_not_without_a_release(scene):
    with pytest.raises(UsageError, match="the rollout of release 1 of 'people' is running already"):
        scene.start()
    with scene.site.repository.alone(), pytest.raises(UsageError, match="no release of 'cars'"):
        begin(scene.site.repository, "gates", "cars", POLICY, (), NOW)
    controller = Controller(
        scene.site.repository, "gates", "cars", signers=scene.site.signers.get, room=scene.hall,
        clock=lambda: NOW,
    )  # fmt: skip
    with pytest.raises(UsageError, match="no rollout of 'cars' has begun"):
        controller.step()


def test_a_damaged_state_is_told(scene):
    (scene.site.repository.work / "rollouts" / "gates" / "people.json").write_text("{}")
    with pytest.raises(UpdateError, match="is no valid state of a rollout"):
        scene.step()


@pytest.mark.parametrize(
    ("payload", "fate"),
    [
        (report(3, "committed"), "succeeded"),
        (report(3, "refused"), "failed"),
        (report(3, "rolled-back"), "failed"),
        (report(3, "refused", candidate=installed(3)), "begun"),
        (report(2, "committed"), "waiting"),
        (report(2, "rolled-back"), "waiting"),
        (report(2, "rolled-back", runs=3), "succeeded"),
        (report(), "waiting"),
    ],
)
def test_what_an_agent_reports_is_understood(payload, fate):
    nodes = Nodes()
    assert nodes.hear("vedette/v1/hall/n/ota/report", payload)
    assert nodes.fates("people", 3, "people-3") == {"hall/n": fate}
    assert nodes.fates("cars", 3, "cars-3") == {}
    assert nodes.places() == (("hall", "n"),)


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("vedette/v1/hall/n/ota/report", b"{"),
        ("vedette/v1/hall/n/ota/report", b'{"models": 1}'),
        ("vedette/v1/hall/n/ota/report", b" " * 300_000),
        ("vedette/v1/hall/n/state", b"[]"),
        ("vedette/v1/hall/n/events", b"{}"),
        ("vedette/v1/hall", b"{}"),
        ("other/hall/n/ota/report", report()),
    ],
)
def test_what_cannot_be_read_is_left_out(topic, payload):
    nodes = Nodes()
    assert not nodes.hear(topic, payload)
    assert nodes.places() == ()


def test_what_a_newer_agent_says_beside_it_is_left_out():
    values = json.loads(report(3, "committed")) | {"weather": "fine"}
    nodes = Nodes()
    assert nodes.hear("vedette/v1/hall/n/ota/report", json.dumps(values).encode())
    assert nodes.fates("people", 3, "people-3") == {"hall/n": "succeeded"}


@pytest.mark.skipif(not MOSQUITTO.exists(), reason="Mosquitto is not installed")
def test_a_room_hears_and_asks_through_a_real_broker(tmp_path):
    port = free_port()
    with mosquitto(tmp_path, port), MqttRoom(Broker("127.0.0.1", port)) as room:
        with MqttRoom(Broker("127.0.0.1", port)) as node:
            node.say("vedette/v1/hall/n/ota/report", report(3, "committed"))
            heard = []
            wait_until(lambda: heard.extend(room.heard()) or heard, what="the report")
        assert heard[0][0] == "vedette/v1/hall/n/ota/report"
