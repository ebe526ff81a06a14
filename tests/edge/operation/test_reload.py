from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.config import AgentConfig, load_config, parse_config
from vedette_edge.errors import ConfigError
from vedette_edge.operation.reload import BACKUP_SUFFIX, Difference, apply_remote, difference, reload_config

MODELS = {"a": {"bundle": "a"}, "b": {"bundle": "b"}}
BASE = {"site": "hall", "node": "node-1", "board": "none", "models": MODELS}
NOW = 1_700_000_000.0


def camera(name, **changes):
    return {"id": name, "source": {"type": "file", "path": f"{name}.mp4"}, "models": ["a"]} | changes


def document(*cameras, **changes):
    return yaml.safe_dump(BASE | {"cameras": list(cameras) or [camera("door")]} | changes).encode()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "agent.yaml"
    path.write_bytes(document())
    return path


@pytest.fixture
def between(path):
    def between(old, new):
        return difference(parse_config(old, path), parse_config(new, path))

    return between


def fits(_config):
    """Any configuration fits."""


def test_equal_configurations_differ_in_nothing(between):
    assert between(document(), document()) == Difference()
    assert Difference().sentences() == ()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"decision": {"on_threshold": 0.9}}, {"retuned": ("door",)}),
        ({"labels": ["fight"]}, {"retuned": ("door",)}),
        ({"priority": 1}, {"retuned": ("door",)}),
        ({"enabled": False}, {"changed": ("door",)}),
        ({"source": {"type": "file", "path": "other.mp4"}}, {"changed": ("door",)}),
        ({"models": ["a", "b"]}, {"changed": ("door",)}),
        ({"gate": {"enabled": True}, "priority": 1}, {"changed": ("door",)}),
    ],
)
def test_a_camera_is_restarted_only_where_retuning_is_not_enough(between, changes, expected):
    assert between(document(), document(camera("door", **changes))) == Difference(**expected)


def test_cameras_that_come_and_go_leave_the_others_alone(between):
    old, new = document(camera("door"), camera("gate")), document(camera("door"), camera("roof"))
    assert between(old, new) == Difference(added=("roof",), removed=("gate",))


def test_naming_all_models_is_no_change_from_having_all(between):
    old, new = camera("door", models=None), camera("door", models=["a", "b"])
    assert between(document(old), document(new)).changed == ()


def test_a_changed_model_restarts_its_cameras_alone(between):
    cameras = camera("door"), camera("gate", models=["b"])
    models = {"a": {"bundle": "a", "threads": 2}, "b": {"bundle": "b"}}
    found = between(document(*cameras), document(*cameras, models=models))
    assert found == Difference(changed=("door",), models_changed=("a",))


def test_a_model_in_whose_place_one_comes_that_takes_the_same_frames_leaves_its_cameras_running(path):
    cameras = (
        camera("door"),
        camera("gate", models=["b"]),
        camera("yard", source={"type": "file", "path": "y"}),
    )
    old = parse_config(document(*cameras), path)
    other = camera("yard", source={"type": "file", "path": "z"})
    new = parse_config(document(*cameras[:2], other, models=MODELS | {"a": {"bundle": "c"}}), path)
    found = difference(old, new, alike=["a"])
    assert found == Difference(changed=("yard",), retuned=("door",), models_changed=("a",))
    assert difference(old, new).changed == ("door", "yard")


def test_a_model_whose_bundle_is_another_in_the_same_place_is_loaded_anew(path):
    config = parse_config(document(camera("door"), camera("gate", models=["b"])), path)
    assert difference(config, config, anew=["a"]) == Difference(changed=("door",), models_changed=("a",))


def test_where_models_come_from_cannot_be_changed_from_afar(path):
    ota = {"url": "http://evil", "fleet": "f", "models": ["a"]}
    report = apply_remote(document(ota=ota), path, load_config(path), fits)
    assert "ota: cannot be changed from afar" in report.error


def test_models_that_come_and_go_are_named(between):
    models = {"a": {"bundle": "a"}, "c": {"bundle": "c"}}
    found = between(document(), document(models=models))
    assert found == Difference(models_added=("c",), models_removed=("b",))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"metrics_interval": 5.0}, {"settings": ("metrics_interval",)}),
        ({"governor": {"warm_celsius": 60.0}}, {"settings": ("governor",)}),
        ({"snapshots": {"quality": 50}}, {"restart": ("snapshots",)}),
        ({"mqtt": {"port": 1}}, {"restart": ("mqtt",)}),
        ({"prometheus": {"enabled": True}, "site": "x"}, {"restart": ("prometheus", "site")}),
    ],
)
def test_a_section_is_taken_over_or_needs_a_new_process(between, changes, expected):
    assert between(document(), document(**changes)) == Difference(**expected)


def test_no_changed_setting_goes_unnoticed(between):
    other = {
        "site": "x",
        "node": "y",
        "state_dir": "/s",
        "mqtt": {"port": 1},
        "outbox": {"max_bytes": 2_000_000},
        "commands": {"enabled": False},
        "home_assistant": {"enabled": True},
        "snapshots": {"quality": 50},
        "clips": {"before": 1.0},
        "drift": {"enabled": True},
        "prometheus": {"enabled": True},
        "governor": {"enabled": False},
        "metrics_interval": 5.0,
        "drain_timeout": 1.0,
    }
    assert other.keys() <= AgentConfig.model_fields.keys()
    for name, value in other.items():
        assert between(document(), document(**{name: value})) != Difference(), name


def test_the_difference_is_told_in_sentences():
    found = Difference(added=("roof",), retuned=("door",), restart=("mqtt",))
    assert found.sentences() == (
        "camera 'roof' is added",
        "camera 'door' is retuned",
        "'mqtt' needs a restart of the agent",
    )


NAMES = st.lists(st.sampled_from(["a1", "b1", "c1", "d1"]), unique=True, min_size=1)


@given(NAMES, NAMES, st.sets(st.sampled_from(["a1", "b1", "c1", "d1"])))
def test_every_camera_has_one_fate(before, after, disabled):
    path = Path("/nowhere/agent.yaml")
    old = parse_config(document(*map(camera, before)), path)
    new = parse_config(document(*[camera(name, enabled=name not in disabled) for name in after]), path)
    found = difference(old, new)
    assert {*found.added} == {*after} - {*before}
    assert {*found.removed} == {*before} - {*after}
    assert {*found.changed} == {*before} & {*after} & disabled
    assert difference(new, new) == Difference()


def test_a_right_file_is_reloaded(path):
    current = load_config(path)
    path.write_bytes(document(camera("door"), camera("roof")))
    config, report = reload_config(path, current, fits, lambda: NOW)
    assert [one.id for one in config.cameras] == ["door", "roof"]
    assert (report.ok, report.ts, report.changes) == (True, NOW, ("camera 'roof' is added",))
    assert report.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_wrong_file_is_not_and_the_reason_is_told(path):
    current = load_config(path)
    path.write_bytes(document(metrics_intervall=3))
    config, report = reload_config(path, current, fits)
    assert config is None
    assert not report.ok
    assert "did you mean 'metrics_interval'" in report.error
    path.unlink()
    assert "cannot read" in reload_config(path, current, fits)[1].error


def refuse(_config):
    raise ConfigError("camera 'door', labels: the model has no fire")


def test_what_does_not_fit_the_device_is_refused(path):
    config, report = reload_config(path, load_config(path), refuse)
    assert (config, report.error) == (None, "camera 'door', labels: the model has no fire")


def test_a_configuration_is_held_against_its_real_models(path, shared_bundle):
    current = load_config(path)
    models = {"a": {"bundle": str(shared_bundle)}}
    right = document(camera("door", labels=["bright"]), models=models)
    wrong = document(camera("door", labels=["fire"]), models=models)
    assert apply_remote(right, path, current, dry_run=True).ok
    assert "no fire" in apply_remote(wrong, path, current, dry_run=True).error
    assert "is not a bundle" in reload_config(path, current)[1].error


def test_a_remote_configuration_is_written_and_the_old_one_kept(path):
    old, new = path.read_bytes(), document(camera("roof"))
    report = apply_remote(new, path, load_config(path), fits)
    assert (report.ok, report.dry_run) == (True, False)
    assert path.read_bytes() == new
    assert path.with_name(path.name + BACKUP_SUFFIX).read_bytes() == old


def test_a_dry_run_writes_nothing(path):
    old = path.read_bytes()
    report = apply_remote(document(camera("roof")), path, load_config(path), fits, dry_run=True)
    assert report.dry_run
    assert report.changes == ("camera 'roof' is added", "camera 'door' is removed")
    assert path.read_bytes() == old
    assert [one.name for one in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("new", "error"),
    [
        (b"site: [", "not YAML"),
        (b"\xff\xfe", "not YAML"),
        (b"#" * 300_000, "at most 262144"),
        (document(node="node-2"), "node: cannot be changed from afar"),
        (document(mqtt={"host": "elsewhere"}), "mqtt: cannot be changed from afar"),
        (document(commands={"enabled": False}), "commands: cannot be changed from afar"),
    ],
)
def test_a_remote_configuration_that_is_wrong_or_cuts_off_changes_nothing(path, new, error):
    old = path.read_bytes()
    report = apply_remote(new, path, load_config(path), fits)
    assert not report.ok
    assert error in report.error
    assert path.read_bytes() == old


def test_a_configuration_that_cannot_be_written_says_where_it_should_lie(path, monkeypatch):
    def full(_path, _data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vedette_edge.operation.reload.write_atomically", full)
    report = apply_remote(document(camera("roof")), path, load_config(path), fits)
    assert not report.ok
    assert "No space left on device" in report.error
    assert "state_dir" in report.error
