"""`vedette-convert release`, through its door: from `init` to a second release, a rotation and a rollout."""

import json
import shutil
import subprocess
import sys

import pytest
from door_helpers import through_door
from edge_helpers import MOSQUITTO, edit_manifest, free_port, mosquitto, write_bundle
from release_helpers import Device

from vedette_converters.__main__ import main
from vedette_converters.commands.rollout import seconds
from vedette_converters.release.repository import Repository
from vedette_converters.release.room import Broker, MqttRoom
from vedette_edge.errors import UsageError
from vedette_edge.ota.payloads import ModelReport, OtaReport
from vedette_edge.ota.record import Installed, Outcome

OF = ("--fleet", "gates", "--model", "people")
KEYS = ("--keys", "keys")


class Served:
    """What a device of `release_helpers` needs of a site."""

    def __init__(self, directory):
        self.repository = Repository(directory)


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    write_bundle(tmp_path / "bundle")
    return through_door(
        main, monkeypatch, capsys, tmp_path, "vedette-convert", VEDETTE_PASSPHRASE="correct horse"
    )


@pytest.fixture
def release(command):
    def run(*arguments):
        code, printed = command("release", *arguments)
        assert code == 0, printed
        return printed

    run("init", "site", "--fleet", "gates", *KEYS)
    return run


def added(release, tmp_path, *options):
    edit_manifest(tmp_path / "bundle", lambda values: values.update(release=values["release"] + 1))
    return release("add", "bundle", "--repository", "site", *OF, *options)


def test_from_the_first_key_to_a_second_release(command, tmp_path):
    code, printed = command("release", "init", "site", "--fleet", "gates", "--fleet", "docks", *KEYS)
    assert code == 0, printed
    assert "published: root, version 1" in printed
    assert f"give each new device:  {tmp_path / 'site' / 'root.json'}" in printed
    assert len(list((tmp_path / "keys").glob("*.pem"))) == 3 + 3 + 1 + 2
    device = Device(Served(tmp_path / "site"))
    options = ("--share", 1, "--hardware", "intel-nuc", "--p95-ms", 20, "--peak-mb", 300, "--notes", "first")
    code, printed = command("release", "add", "bundle", "--repository", "site", *OF, *options)
    assert code == 0, printed
    assert "release 1 of 'people' for 'gates': 5 files" in printed
    assert device.offer() is None
    assert command("release", "publish", "site", *KEYS)[0] == 0
    found, _ = device.offer()
    assert (found.release, found.hardware, found.budget.peak_rss_bytes) == (1, ("intel-nuc",), 300_000_000)
    code, printed = command("release", "publish", "site", *KEYS)
    assert (code, printed) == (0, "nothing was due; what is published stays as it is\n")


def test_the_status_says_what_there_is(release, tmp_path, command):
    added(release, tmp_path)
    found = json.loads(release("status", "site", *KEYS, "--json"))
    roles = {(row["role"], row["published"]): row for row in found["roles"]}
    assert roles["root", True]["keys"] == ["root-1", "root-2", "root-3"]
    assert (roles["root", True]["threshold"], roles["root", True]["missing"]) == (2, 0)
    assert 364 < roles["root", True]["days_left"] <= 365
    assert roles["gates", False]["missing"] == 1
    assert [(row["release"], row["published"]) for row in found["releases"]] == [(1, False)]
    printed = release("status", "site", *KEYS)
    assert "2 of 3" in printed
    assert "waits, lacks" in printed  # a narrow terminal breaks the line there
    assert command("release", "status", "nowhere")[0] == 2


def test_keys_that_are_elsewhere_sign_there(release, tmp_path, command):
    stick = tmp_path / "stick"
    stick.mkdir()
    for name in ("root-1", "root-2", "root-3"):
        for end in ("json", "pem"):
            (tmp_path / "keys" / f"{name}.{end}").rename(stick / f"{name}.{end}")
    release("key", "online-2", *KEYS)
    release("rotate", "site", "online", "--remove", "online", "--add", "keys/online-2.json", *KEYS)
    printed = release("publish", "site", *KEYS)
    assert "waits: 'root' lacks 2 signature(s)" in printed
    waiting = tmp_path / "site.work" / "staged" / "root.json"
    shutil.copy(waiting, tmp_path / "copy.json")
    printed = release("sign", "copy.json", "--key", "stick/root-1.json")
    assert "root, version 2, expires" in printed
    assert "timestamp: 1 of 1 keys" in printed
    release("sign", waiting, "--key", "stick/root-3.json", "--merge", "copy.json")
    assert "published: root, version 2" in release("publish", "site", *KEYS)
    Device(Served(tmp_path / "site")).look()
    names = {
        row["role"]: row["keys"] for row in json.loads(release("status", "site", *KEYS, "--json"))["roles"]
    }
    assert names["timestamp"] == ["online-2"]
    assert command("release", "sign", "copy.json")[0] == 2


def test_keys_of_others_are_taken_at_the_beginning(command, tmp_path):
    for name in ("ann", "bob"):
        assert command("release", "key", name, "--keys", name)[0] == 0
    given = ("--root-key", "ann/ann.json", "--root-key", "bob/bob.json")
    (tmp_path / "bob" / "bob.pem").rename(tmp_path / "bob.pem")
    shutil.copy(tmp_path / "ann" / "ann.pem", tmp_path / "ann.pem")
    code, printed = command("release", "init", "site", "--fleet", "gates", *KEYS, *given)
    assert (code, "nothing is published yet: root lacks 2" in printed) == (2, True)
    (tmp_path / "bob.pem").rename(tmp_path / "bob" / "bob.pem")
    code, printed = command("release", "publish", "site", *KEYS, "--keys", "ann", "--keys", "bob")
    assert code == 0, printed
    Device(Served(tmp_path / "site")).look()


def test_a_fleet_is_added(release):
    release("fleet", "site", "docks", *KEYS)
    assert "published: docks, version 1" in release("publish", "site", *KEYS)
    release("add", "bundle", "--repository", "site", "--fleet", "docks", "--model", "people")


def test_a_rollout_goes_by_hand_from_wave_to_wave_and_back(release, tmp_path, command):
    added(release, tmp_path)
    release("publish", "site", *KEYS)
    added(release, tmp_path)
    (tmp_path / "nodes").write_text("n-1 pi\nn-2 nuc\n")
    start = ("rollout", "start", "site", *OF, *KEYS, "--nodes", "nodes", "--first")
    assert "first.0: String should match" in command("release", *start, "A b")[1]
    printed = release(*start, "n-1")
    assert "release 2 of 'people' for 'gates': running, wave 1 of 4, share 1.00%" in printed
    device = Device(Served(tmp_path / "site"))
    assert device.offer()[1].first == ("n-1", "n-2")
    assert "wave 2 of 4, share 10.00%" in release("rollout", "widen", "site", *OF, *KEYS)
    assert "paused" in release("rollout", "pause", "site", *OF, *KEYS, "--reason", "holidays")
    assert device.offer()[1].paused
    assert "holidays" in release("rollout", "status", "site")
    assert "running" in release("rollout", "resume", "site", *OF, *KEYS)
    assert "aborted" in release("rollout", "abort", "site", *OF, *KEYS)
    assert json.loads(release("rollout", "status", "site", "--json"))[0]["phase"] == "aborted"
    code, printed = command("release", "rollout", "resume", "site", *OF, *KEYS)
    assert (code, "was aborted (by hand)" in printed) == (2, True)
    assert "release 3 of 'people' for 'gates': the files of release 1" in release(
        "revert", "site", *OF, *KEYS
    )
    assert device.offer()[1].share == 1.0


@pytest.mark.skipif(not MOSQUITTO.exists(), reason="Mosquitto is not installed")
def test_a_rollout_is_run_by_what_a_real_broker_brings(release, tmp_path, command):
    added(release, tmp_path)
    release("rollout", "start", "site", *OF, *KEYS, "--waves", "1", "--hold", "0s")
    kept = Installed(slot="b", release=1, digest="0" * 64, campaign="people-1")
    outcome = Outcome(release=1, digest="0" * 64, campaign="people-1", result="committed", ts=0.0)
    one = ModelReport(
        model="people", names=("people",), state="idle", since=0.0, seq=1, runs=kept, outcome=outcome
    )
    port = free_port()
    run = ("rollout", "run", "site", *OF, *KEYS, "--broker", f"127.0.0.1:{port}", "--interval", "0.2")
    with mosquitto(tmp_path, port), MqttRoom(Broker("127.0.0.1", port)) as node:
        node.say(
            "vedette/v1/hall/n/ota/report",
            OtaReport(ts=0.0, boot="b", models=(one,)).model_dump_json().encode(),
        )
        printed = release(*run, "--success", "1")
    assert "done, share 100.00%, 1 nodes known: finish: 1 of 1 succeeded, 0 failed" in printed
    code, printed = command("release", *run)
    assert (code, "127.0.0.1" in printed) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["publish", "nowhere", *KEYS], "nowhere is no repository"),
        (["publish", "site", "--keys", "nowhere"], "nowhere: cannot read this key"),
        (["publish", "site", *KEYS, "--passphrase-file", "nowhere"], "nowhere: cannot read the passphrase"),
        (["init", "site", "--fleet", "gates", *KEYS], "site is a repository already"),
        (["init", "other", "--fleet", "gates", "--keys", "other/keys"], "would be served"),
        (["init", "other", "--fleet", "root", "--keys", "more"], "TUF has a role of that name"),
        (
            ["init", "other", "--fleet", "gates", "--keys", "more", "--root-threshold", 4],
            "there would be 3 key(s)",
        ),
        (["add", "nowhere", "--repository", "site", *OF], "nowhere is not a bundle"),
        (["add", "bundle", "--repository", "site", "--fleet", "x", "--model", "y"], "there is no fleet 'x'"),
        (
            ["add", "bundle", "--repository", "site", "--fleet", "gates", "--model", "../b"],
            "model: String should match",
        ),
        (["add", "bundle", "--repository", "site", *OF, "--agent", "new"], "agent: String should match"),
        (["rotate", "site", "root", *KEYS], "nothing to change"),
        (["rotate", "site", "root", *KEYS, "--add", "new"], "give the new key a name"),
        (["rollout", "start", "site", *OF, *KEYS], "there is no release of 'people'"),
        (["rollout", "start", "site", *OF, *KEYS, "--waves", "much"], "expected shares such as"),
        (["rollout", "start", "site", *OF, *KEYS, "--waves", "1,0.5"], "waves must grow"),
        (["init", "other", "--fleet", "A b", "--keys", "more"], "the fleet 'A b': expected 1 to 64 of"),
        (["key", "../x", "--keys", "more"], "the key '../x': expected 1 to 64 of"),
        (["rollout", "start", "site", *OF, *KEYS, "--nodes", "nowhere"], "cannot read it"),
        (["rollout", "widen", "site", *OF, *KEYS], "no rollout of 'people' has begun"),
        (["rollout", "run", "site", *OF, *KEYS, "--broker", "x"], "no rollout of 'people' has begun"),
        (["revert", "site", *OF, *KEYS], "to go back from"),
        (["sign", "nowhere", "--key", "keys/root-1.json"], "cannot read this metadata"),
    ],
)
@pytest.mark.usefixtures("release")
def test_what_cannot_be_is_told_in_one_sentence(arguments, sentence, command, tmp_path):
    before = {path: path.read_bytes() for path in (tmp_path / "site").rglob("*") if path.is_file()}
    code, printed = command("release", *arguments)
    assert code in (1, 2)
    assert sentence in printed
    assert printed.count("\n") == 1
    assert before == {path: path.read_bytes() for path in (tmp_path / "site").rglob("*") if path.is_file()}


@pytest.mark.usefixtures("release")
def test_a_wrong_passphrase_is_one_sentence(command, monkeypatch):
    monkeypatch.setenv("VEDETTE_PASSPHRASE", "battery staple")
    code, printed = command("release", "publish", "site", *KEYS, "--renew", "root")
    assert code == 2
    assert "the passphrase is wrong" in printed


@pytest.mark.parametrize(("text", "value"), [("90s", 90.0), ("10m", 600.0), ("2h", 7200.0), ("5", 5.0)])
def test_a_time_is_read(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "m", "-1s", "ten", "nan", "inf"])
def test_what_is_no_time_is_told(text):
    with pytest.raises(UsageError, match="expected a time such as 90s, 10m or 2h"):
        seconds(text)


def test_without_a_terminal_nobody_is_asked(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "vedette_converters", "release", "init", "site", "--fleet", "gates", *KEYS],
        capture_output=True, text=True, cwd=tmp_path, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 2
    assert "needs a passphrase of 8 characters or more" in done.stderr
    assert list(tmp_path.iterdir()) == []
