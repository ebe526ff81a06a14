from __future__ import annotations

import pytest
from edge_helpers import edit_manifest
from visit_helpers import another, device

from vedette_edge.config import load_config
from vedette_edge.errors import UpdateError
from vedette_edge.manifest import FileEntry
from vedette_edge.ota.fit import board_of, check_agent, check_fit, is_for, users_of
from vedette_edge.ota.layout import Store
from vedette_edge.ota.release import Release
from vedette_edge.ota.store import ModelStore


def release(**changes):
    files = (FileEntry(path="manifest.json", bytes=1, sha256="0" * 64),)
    return Release(model="door", release=1, created=0.0, files=files, **changes)


def load(tmp_path, **settings):
    return load_config(device(tmp_path, **settings))


@pytest.mark.parametrize("board", [None, "intel-nuc", "jetson-orin"])
def test_a_release_for_any_board_suits_each(board):
    assert is_for(release(), board)


def test_a_release_for_some_boards_suits_no_other():
    assert is_for(release(hardware=("intel-nuc", "jetson-orin")), "jetson-orin")
    assert not is_for(release(hardware=("intel-nuc",)), "jetson-orin")
    assert not is_for(release(hardware=("intel-nuc",)), None)


@pytest.mark.parametrize(("needs", "has"), [("1.2", "1.2.0"), ("1.2.3", "1.10"), ("0.9.9", "1.0.0rc1")])
def test_an_agent_that_is_new_enough_takes_it(needs, has):
    check_agent(release(agent=needs), has)


def test_an_older_agent_does_not():
    with pytest.raises(UpdateError, match=r"needs agent 1.10 or later, this is 1.9.3: upgrade"):
        check_agent(release(agent="1.10"), "1.9.3")


def test_the_board_is_the_one_of_the_configuration(tmp_path):
    config = load(tmp_path)
    assert board_of(config) is None
    assert board_of(config.model_copy(update={"board": "intel-nuc"})) == "intel-nuc"


def test_models_that_share_a_place_all_run_what_lies_there(tmp_path):
    config = load(tmp_path, models=("door", "gate"))
    place = Store(config.ota.store).model("door")
    both = config.models | {"again": config.models["door"].model_copy(update={"variant": "onnx-fp32"})}
    assert users_of(place, both).keys() == {"door", "again"}
    with pytest.raises(UpdateError, match=f"set its bundle to {place.directory}"):
        users_of(place, {"gate": config.models["gate"]})


def test_a_bundle_whose_labels_the_cameras_do_not_know_does_not_fit(tmp_path, bundle_dir):
    config = load(tmp_path, camera={"labels": ["bright"]})
    check_fit(bundle_dir, config.models, config)
    edit_manifest(bundle_dir, lambda values: values["labels"][1].update(name="glare"))
    with pytest.raises(UpdateError, match=r"does not fit this device's configuration: camera 'cam', labels"):
        check_fit(bundle_dir, config.models, config)


def test_labels_of_the_other_models_that_run_count_too(tmp_path, shared_bundle):
    config = load(tmp_path, models=("door", "gate"), camera={"labels": ["bright", "glare"]})
    glare = another(shared_bundle, tmp_path / "glare", 1)
    edit_manifest(glare, lambda values: values["labels"][1].update(name="glare"))
    users = {"door": config.models["door"]}
    # Of a model that nobody can read, nothing is asked.
    check_fit(shared_bundle, users, config)
    config.ota.store.mkdir()
    ModelStore(Store(config.ota.store).model("gate")).adopt(glare, 1.0)
    check_fit(shared_bundle, users, config)
    with pytest.raises(UpdateError, match="labels"):
        check_fit(glare, users, config)


def test_a_trigger_asks_for_a_model_of_single_pictures(tmp_path, shared_bundle):
    config = load(tmp_path)
    triggered = config.models["door"].model_validate({"bundle": shared_bundle, "trigger": {"every": 1.0}})
    with pytest.raises(UpdateError, match=r"models.door.trigger is for a model of task anomaly"):
        check_fit(shared_bundle, {"door": triggered}, config)


def test_a_bundle_without_a_manifest_does_not_fit(tmp_path):
    config = load(tmp_path)
    with pytest.raises(UpdateError, match="does not fit"):
        check_fit(tmp_path / "nowhere", config.models, config)
