"""Updates of models from afar, on a device with a real systemd."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from container import Service
from edge_helpers import brightness_model, edit_manifest, entry, wait_until, write_bundle
from release_helpers import Site
from sandbox_probe import FORBIDDEN, NEEDED

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

AGENT = "/opt/vedette/bin/edge-agent"
PYTHON = "/opt/vedette/bin/python"
KEYS = "/root/keys/control-room"
BESIDE = "srv/vedette"
STATE, STORE = "/var/lib/edge-agent", "/var/lib/edge-models"
UNITS = ("edge-agent-ota.service", "edge-agent-ota.timer", "edge-agent-ota.path")
CONFIG = """\
site: hall
node: node-1
metrics_interval: 2
# A machine that is busy with other things must not have the shadow rest.
governor: {load: 0}
models:
  door: {bundle: /var/lib/edge-models/door}
cameras:
  - id: door
    source: {type: file, path: /srv/vedette/door.mp4}
ota:
  url: http://127.0.0.1:8000
  fleet: gates
  models: [door]
  shadow: 4
  trial: 5
  tries: 2
"""
SAY = f"""
import sys
from paho.mqtt import client, publish
tls = dict(ca_certs="{KEYS}/ca.pem", certfile="{KEYS}/control-room.pem", keyfile="{KEYS}/control-room.key")
publish.single(
    "vedette/v1/hall/node-1/ota/desired", sys.argv[1], qos=1, retain=True,
    hostname="localhost", port=8883, tls=tls, protocol=client.MQTTv5,
)
"""
# Seconds after which the agent asks the updater to look once more.
PAUSE = 60


@pytest.fixture(scope="module")
def config():
    return CONFIG


@pytest.fixture(scope="module")
def site(container):
    """A repository of releases, where a web server of the device can see it."""
    site = Site(container.root / BESIDE)
    site.publish()
    return site


@pytest.fixture(scope="module")
def at_last(container, site):
    """What docs/ota.md asks for: whom to trust, and a first model by hand; and a web server."""

    def follow():
        root = site.repository.metadata / "1.root.json"
        container.write("/etc/edge-agent/root.json", root.read_text())
        container.run(AGENT, "ota", "adopt", "door", f"/{BESIDE}/bundle")

    return follow


@pytest.fixture(scope="module")
def updated(device):
    """The device, its updater on, and all that it says written down."""
    beside(device)
    device.run("systemctl", "enable", "--now", *UNITS[1:])
    return device


def beside(device):
    """Start the web server, and a control room that writes down what it hears."""
    served = ("/usr/bin/python3", "-m", "http.server", 8000, "--directory", f"/{BESIDE}/site")
    device.run("systemd-run", "--unit=releases", *served)
    output = f"--property=StandardOutput=append:/{BESIDE}/heard"
    watch = (AGENT, "watch", "--json", "--broker", "localhost:8883", "--protocol", "5")
    keys = ("--ca-file", f"{KEYS}/ca.pem", "--cert-file", f"{KEYS}/control-room.pem")
    device.run("systemd-run", "--unit=heard", output, *watch, *keys, "--key-file", f"{KEYS}/control-room.key")


@pytest.fixture
def service(updated):
    """The agent, which runs; what it alarmed when the test is over lacks nothing."""
    service = Service(updated)
    service.wait_for("active")
    wait_until(lambda: not gaps(updated), 5, "all events of before")
    seen = len(events(updated))
    yield service
    service.wait_for("active")
    wait_until(lambda: len(events(updated)) > seen, 30, "alarms")
    assert not gaps(updated)


@pytest.fixture
def rare(updated):
    """Keeps the timer out of what a test is about."""
    yield from _timer(updated, "1h")


@pytest.fixture
def often(updated):
    """A timer that need not be waited for."""
    yield from _timer(updated, "3s")


def _timer(device, pause):
    drop_in = f"/etc/systemd/system/{UNITS[1]}.d/90-test.conf"
    lines = ("[Timer]", "OnBootSec=", f"OnActiveSec={pause}", f"OnUnitInactiveSec={pause}")
    device.write(drop_in, "\n".join([*lines, "RandomizedDelaySec=0", "AccuracySec=1s", ""]))
    device.run("systemctl", "daemon-reload")
    device.run("systemctl", "restart", UNITS[1])
    yield
    device.run("rm", "-f", drop_in)
    device.run("systemctl", "daemon-reload")
    device.run("systemctl", "restart", UNITS[1])


@pytest.fixture
def crashing(updated):
    """The agent as it is, but that a candidate may kill it."""
    drop_in = "/etc/systemd/system/edge-agent.service.d/90-test.conf"
    start = f"{PYTHON} /{BESIDE}/helpers/crashing_agent.py {STORE}/door/record.json"
    start += " run --config /etc/edge-agent/edge-agent.yaml --log json"
    updated.write(drop_in, f"[Service]\nExecStart=\nExecStart={start}\n")
    updated.run("systemctl", "daemon-reload")
    updated.run("systemctl", "restart", "edge-agent")
    yield
    updated.run("rm", drop_in)
    updated.run("systemctl", "daemon-reload")
    updated.run("systemctl", "restart", "edge-agent")


@pytest.fixture
def release(site, tmp_path):
    """Releases a bundle that is brightness, edited; returns its release."""

    def make(edit):
        bundle = write_bundle(tmp_path / "candidate")
        edit(bundle)
        released = site.add(bundle, "door")
        site.publish()
        return released

    return make


def renamed(name):
    """Return an edit that makes it another bundle, which does the same."""

    def edit(bundle):
        edit_manifest(bundle, lambda values: values["variants"][0].update(name=name))

    return edit


def with_other_weights(bundle):
    (bundle / "model.onnx").write_bytes(brightness_model(bias=-3.0))
    edit_manifest(bundle, lambda values: values["variants"][0].update(files=[entry(bundle, "model.onnx")]))


def greedy(bundle):
    """Edit a bundle: it takes a gigabyte for a moment in each call, and does the same."""
    model = onnx.load_from_string((bundle / "model.onnx").read_bytes())
    graph = model.graph
    graph.node[-1].output[0] = "small"
    graph.initializer.append(onnx.numpy_helper.from_array(np.array([250_000_000], np.int64), "gigabyte"))
    graph.node.extend(
        [
            onnx.helper.make_node("ConstantOfShape", ["gigabyte"], ["much"]),
            onnx.helper.make_node("ReduceMax", ["much"], ["nothing"], keepdims=1),
            onnx.helper.make_node("Add", ["small", "nothing"], ["logits"]),
        ]
    )
    (bundle / "model.onnx").write_bytes(model.SerializeToString())
    edit_manifest(bundle, lambda values: values["variants"][0].update(files=[entry(bundle, "model.onnx")]))


def record(device):
    return json.loads((device.root / STORE[1:] / "door/record.json").read_text())


def evidence(device):
    return json.loads((device.root / STATE[1:] / "ota/door.json").read_text())


def heard(device):
    lines = (device.root / BESIDE / "heard").read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def events(device):
    return [one["payload"] for one in heard(device) if one["topic"].endswith("/events")]


def gaps(device):
    """Return the numbers of events that are missing below a higher one of their boot."""
    told = {(one["boot"], one["seq"]) for one in events(device)}
    boots = {boot for boot, _ in told}
    seqs = {boot: {seq for one, seq in told if one == boot} for boot in boots}
    return [(boot, seq) for boot, one in seqs.items() for seq in range(min(one), max(one)) if seq not in one]


def told(device):
    """Return what was reported last: where the update stands, and which release runs."""
    found = [one["payload"]["models"][0] for one in heard(device) if one["topic"].endswith("/ota/report")]
    return (found[-1]["state"], found[-1]["runs"]["release"]) if found else None


def outcome(device, released):
    """Return how the update to a release has ended; None where it has not."""
    found = record(device)
    if found["state"] != "idle" or found["outcome"] is None:
        return None
    return found["outcome"]["result"] if found["outcome"]["release"] == released.release else None


def states(device, released):
    """Return the states in which the updater's log says that a release was."""
    lines = [line for line in device.log(UNITS[0], 400).splitlines() if line.startswith("{")]
    told = [one for one in map(json.loads, lines) if one.get("release") == released.release]
    return [one["state"] for one in told if one.get("event") == "ota"]


def look(device):
    return device.run("systemctl", "start", UNITS[0])


def runs(device, digest):
    """Tell whether what alarmed last was told by a model."""
    return events(device)[-1]["model_sha256"] == digest


def test_the_model_that_root_put_there_is_the_updaters_and_alarms(updated, service):
    found = record(updated)
    assert (found["state"], found["committed"]["release"]) == ("idle", 0)
    strangers = updated.answer("find", STORE, "-not", "-user", "vedette")
    assert strangers == ""
    assert updated.answer("find", f"{STORE}/door/a", "-type", "f", "-perm", "/222") == ""
    wait_until(lambda: events(updated) and runs(updated, found["committed"]["digest"]), 30, "alarms")
    assert service.NRestarts == "0"


def test_its_timer_and_its_path_wait_for_their_time(updated):
    for unit in UNITS[1:]:
        assert (Service(updated, unit).ActiveState, Service(updated, unit).SubState) == ("active", "waiting")
        assert updated.answer("systemctl", "is-enabled", unit) == "enabled"
    timer = Service(updated, UNITS[1])
    assert timer.Unit == UNITS[0]
    assert timer.NextElapseUSecMonotonic not in ("", "infinity")


@pytest.mark.usefixtures("rare", "service")
def test_a_look_without_news_ends_well_and_writes_nothing(updated):
    before = (updated.root / STORE[1:] / "door/record.json").stat()
    look(updated)
    assert Service(updated, UNITS[0]).Result == "success"
    assert (updated.root / STORE[1:] / "door/record.json").stat().st_mtime_ns == before.st_mtime_ns


@pytest.fixture(scope="module")
def probed(updated):
    """What the updater was refused, and what root was outside of it."""
    probe = (PYTHON, f"/{BESIDE}/helpers/sandbox_probe.py")
    updated.write("/home/owner/letter", "private")
    updated.write("/tmp/of-others", "private")
    drop_in = f"/etc/systemd/system/{UNITS[0]}.d/90-probe.conf"
    command = f"{' '.join(probe)} {STORE}/probe.json {STORE}"
    updated.write(drop_in, f"[Service]\nExecStartPost={command}\n")
    updated.run("systemctl", "daemon-reload")
    look(updated)
    inside = json.loads(updated.run("cat", f"{STORE}/probe.json").stdout)
    updated.run("rm", drop_in, f"{STORE}/probe.json")
    updated.run("systemctl", "daemon-reload")
    updated.run(*probe, "/tmp/probe.json", STORE)
    return inside, json.loads(updated.run("cat", "/tmp/probe.json").stdout)


@pytest.mark.parametrize("act", [*FORBIDDEN, "open a socket for its status"])
def test_the_updaters_sandbox_does_not_let_it(act, probed):
    inside, outside = probed
    assert outside[act] == "", "it is not the sandbox that forbids it"
    assert inside[act] != ""


@pytest.mark.parametrize("act", [one for one in NEEDED if one != "open a socket for its status"])
def test_the_updaters_sandbox_lets_it(act, probed):
    inside, _ = probed
    assert inside[act] == ""


@pytest.mark.usefixtures("rare")
def test_a_hint_over_mqtt_brings_a_release_as_far_as_commit_while_the_agent_goes_on(
    updated, service, release
):
    pid, timer = service.MainPID, Service(updated, UNITS[1])
    last = timer.LastTriggerUSecMonotonic
    released = release(renamed("fresh"))
    updated.run(PYTHON, "-c", SAY, '{"campaign": "spring", "wave": 1}')
    wait_until(lambda: outcome(updated, released), 3 * PAUSE + 60, "the end of the update")
    assert outcome(updated, released) == "committed"
    assert states(updated, released) == [
        *("space", "fetch", "verify", "staged", "probe", "shadow", "switch", "trial", "commit")
    ]
    assert timer.LastTriggerUSecMonotonic == last, "all of it was the path unit's"
    assert (service.MainPID, service.NRestarts) == (pid, "0")
    wait_until(lambda: runs(updated, released.digest), 20, "alarms by the new model")
    wait_until(lambda: told(updated) == ("idle", released.release), 20, "the report")


@pytest.mark.usefixtures("often")
def test_a_release_with_other_outputs_is_refused_before_the_agent_has_it(updated, service, release):
    pid, before = service.MainPID, record(updated)["committed"]
    released = release(with_other_weights)
    wait_until(lambda: outcome(updated, released), 60, "the end of the update")
    found = record(updated)
    assert (found["outcome"]["result"], found["committed"]) == ("refused", before)
    assert "does not give its expected outputs" in found["outcome"]["reason"]
    assert states(updated, released)[-2:] == ["probe", "idle"]
    assert (service.MainPID, Service(updated, UNITS[0]).Result) == (pid, "success")


@pytest.mark.parametrize(("state", "result"), [("shadow", "refused"), ("trial", "rolled-back")])
@pytest.mark.usefixtures("rare", "crashing")
def test_a_candidate_that_kills_the_agent_ends_in_the_committed_model_without_the_updater(
    updated, service, release, state, result
):
    before, restarts = record(updated)["committed"], int(service.NRestarts)
    released = release(renamed(f"crashes-in-{state}"))
    look(updated)
    if state == "trial":
        wait_until(lambda: evidence(updated)["seconds"] >= 4, 60, "the shadow")
        look(updated)
    assert record(updated)["state"] == state
    updated.run("systemctl", "stop", *UNITS[1:])
    wait_until(lambda: evidence(updated)["phase"] == state and evidence(updated)["failed"], 60, "its failure")
    # The record says trial up to two seconds before the agent does: the first fall may be that of the shadow.
    assert evidence(updated)["starts"] in (1, 2)
    assert "2 times in a row" in evidence(updated)["failed"]
    count = len(events(updated))
    wait_until(lambda: len(events(updated)) > count and runs(updated, before["digest"]), 30, "alarms")
    assert int(service.NRestarts) == restarts + 2
    assert "status=11/SEGV" in updated.log("edge-agent", 400)
    assert record(updated)["state"] == state, "the updater was not needed"
    updated.run("systemctl", "start", UNITS[2])
    look(updated)
    assert outcome(updated, released) == result
    assert record(updated)["committed"] == before
    assert record(updated)["refused"][-1]["digest"] == released.digest


@pytest.mark.usefixtures("rare")
def test_an_update_goes_on_after_the_power_is_cut_in_its_trial(updated, service, release):
    released = release(renamed("durable"))
    look(updated)
    wait_until(lambda: evidence(updated)["seconds"] >= 4, 60, "the shadow")
    look(updated)
    wait_until(lambda: runs(updated, released.digest), 30, "alarms by the candidate")
    updated.cut_power()
    assert record(updated)["state"] == "trial"
    updated.boot()
    beside(updated)
    service.wait_for("active")
    wait_until(
        lambda: evidence(updated)["starts"] == 2 and evidence(updated)["seconds"] >= 5, 60, "the trial"
    )
    wait_until(lambda: look(updated) and outcome(updated, released), 20, "the end of the update")
    assert outcome(updated, released) == "committed"
    assert runs(updated, released.digest)


@pytest.mark.usefixtures("often")
def test_a_probe_that_takes_too_much_memory_is_killed_and_the_updater_is_not(updated, service, release):
    if not Service(updated).MemoryCurrent.isdecimal():
        pytest.skip("systemd has no control group for memory here")
    drop_in = f"/etc/systemd/system/{UNITS[0]}.d/90-test.conf"
    updated.write(drop_in, "[Service]\nMemoryMax=400M\n")
    updated.run("systemctl", "daemon-reload")
    try:
        pid, released = service.MainPID, release(greedy)
        wait_until(lambda: outcome(updated, released), 60, "the end of the update")
    finally:
        updated.run("rm", drop_in)
        updated.run("systemctl", "daemon-reload")
    assert outcome(updated, released) == "refused"
    assert "SIGKILL" in record(updated)["outcome"]["reason"]
    assert (service.MainPID, Service(updated, UNITS[0]).Result) == (pid, "success")


def test_uninstalled_its_units_are_gone_and_its_models_once_told_to_purge(updated):
    updated.run(AGENT, "uninstall")
    for unit in ("edge-agent.service", *UNITS):
        assert (Service(updated, unit).LoadState, Service(updated, unit).ActiveState) == (
            "not-found",
            "inactive",
        )
    assert (updated.root / STORE[1:] / "door/record.json").exists()
    updated.run(AGENT, "uninstall", "--purge")
    assert (
        updated.answer("find", "/etc", "/var/lib", "-name", "*edge-agent*", "-o", "-name", "edge-models")
        == ""
    )
