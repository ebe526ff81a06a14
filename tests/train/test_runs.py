"""A run's folder: what it holds, and what is said when it is not whole."""

import hashlib
import json

import pytest
import torch
from train_helpers import tiny_recipe

from vedette_edge.errors import ConfigError, DataError
from vedette_train.runs import (
    Calibration,
    RunInfo,
    Sample,
    build_network,
    library_versions,
    open_run,
    read_recipe,
    refuse_other_data,
    refuse_other_recipe,
    save_info,
    save_start,
    save_weights,
)

INFO = RunInfo(
    labels=("left", "right"),
    data_root="/videos",
    dataset="0" * 64,
    train=(Sample(name="left/a.mp4", label="left", group="a"),),
    val=(Sample(name="right/b.mp4", label="right", group="b"),),
    test=(Sample(name="left/d.mp4", label="left", group="d"),),
    unreadable={"left/c.mp4": "empty"},
    versions={"torch": "2"},
)


@pytest.fixture
def run(tmp_path):
    """A finished run that was never trained."""
    directory = tmp_path / "new" / "run"
    save_start(directory, tiny_recipe(), INFO)
    torch.manual_seed(0)
    save_weights(directory, build_network(tiny_recipe(), 2))
    return directory


def test_a_run_reads_back_as_it_was_written(run):
    found = open_run(run)
    assert (found.directory, found.recipe, found.info) == (run, tiny_recipe(), INFO)
    assert found.split_name.startswith("test, fold 0 of 4 by group, seed 3, split.csv sha256 ")


def test_the_split_lies_beside_as_a_table_that_the_figures_name(run):
    table = (run / "split.csv").read_bytes()
    assert table.decode().splitlines() == [
        "path,label,group,part",
        "left/a.mp4,left,a,train",
        "right/b.mp4,right,b,val",
        "left/d.mp4,left,d,test",
    ]
    assert open_run(run).split_name.endswith(hashlib.sha256(table).hexdigest()[:12])


def test_a_run_of_before_there_was_a_test_part_reports_what_it_validated_on(run):
    values = json.loads((run / "run.json").read_text())
    del values["test"], values["calibration"]
    (run / "run.json").write_text(json.dumps(values))
    found = open_run(run)
    assert (found.info.reported_part, found.info.reported) == ("val", INFO.val)
    assert found.split_name.startswith("val, fold 0 of 4")
    assert found.decision == tiny_recipe().decision


def test_a_fitted_temperature_is_that_of_the_decision_and_the_recipe_stays(run):
    fitted = Calibration(temperature=2.5, videos=1, windows=3, nll_before=1.0, nll_after=0.5)
    save_info(run, INFO.model_copy(update={"calibration": fitted}))
    found = open_run(run)
    assert found.recipe == tiny_recipe()
    assert found.decision == tiny_recipe(decision__temperature=2.5).decision


def test_groups_that_a_split_file_puts_on_both_sides_are_told_with_the_figures(run):
    val = (*INFO.val, Sample(name="left/e.mp4", label="left", group="a"))
    save_start(run, tiny_recipe(data__split_file="official.csv"), INFO.model_copy(update={"val": val}))
    found = open_run(run)
    assert found.info.crossing == ["a"]
    assert found.split_name.startswith("test, as official.csv says, 1 groups on both sides, split.csv")


def test_its_network_has_its_weights_and_judges(run):
    torch.manual_seed(0)
    wanted = build_network(tiny_recipe(), 2).state_dict()
    network = open_run(run).network()
    assert not network.training
    assert all(torch.equal(value, wanted[name]) for name, value in network.state_dict().items())


def test_versions_of_what_shapes_the_result_are_kept():
    assert library_versions()["torch"] == torch.__version__
    assert set(library_versions()) >= {"vedette", "torchvision", "lightning", "numpy", "opencv-python"}


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("run.json", r"is not a run: it has no run\.json; give the --out of vedette-train fit"),
        ("model.pt", r"has no model\.pt: its training did not finish; go on with --resume"),
        ("recipe.yaml", r"recipe\.yaml: cannot be read"),
    ],
)
def test_a_missing_file_says_what_to_do(missing, sentence, run):
    (run / missing).unlink()
    with pytest.raises(DataError, match=sentence):
        open_run(run)


@pytest.mark.parametrize(
    ("file", "content", "error", "sentence"),
    [
        ("run.json", b"{}", DataError, "labels: missing"),
        ("run.json", b"not json", DataError, "Invalid JSON"),
        ("recipe.yaml", b"a: [", DataError, "cannot be read"),
        ("recipe.yaml", b"\xff\xfe\x00", DataError, "cannot be read"),
        ("recipe.yaml", b"name: tiny", ConfigError, "data: missing"),
    ],
)
def test_a_damaged_file_is_named(file, content, error, sentence, run):
    (run / file).write_bytes(content)
    with pytest.raises(error, match=sentence) as caught:
        open_run(run)
    assert str(run / file) in str(caught.value)


def other_width(path):
    torch.save(build_network(tiny_recipe(model__width_mult=0.5), 2).state_dict(), path)


@pytest.mark.parametrize(
    "spoil", [lambda path: path.write_bytes(b"cut"), other_width, lambda path: torch.save([1], path)]
)
def test_weights_that_do_not_load_are_named(spoil, run):
    spoil(run / "model.pt")
    with pytest.raises(DataError, match=r"model\.pt: cannot load the weights of this run"):
        open_run(run).network()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value, run):
    state = torch.load(run / "model.pt")
    state["features.0.conv.weight"][0] = value
    torch.save(state, run / "model.pt")
    with pytest.raises(DataError, match=r"1 tensors hold NaN or infinity, first features\.0\.conv\.weight"):
        open_run(run).network()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"model__name": "mobilenet"},
            "recipe 'tiny', model: unknown model 'mobilenet', did you mean 'mobilenet_v2_3d'",
        ),
        ({"model__width_mult": 0.05}, "recipe 'tiny', model: .*width_mult >= 1/16"),
    ],
)
def test_a_network_that_cannot_be_built_is_an_error_of_the_recipe(change, sentence):
    with pytest.raises(ConfigError, match=sentence):
        build_network(tiny_recipe(**change), 2)


def test_another_recipe_is_refused_with_all_that_differs(run):
    refuse_other_recipe(tiny_recipe(), run)
    with pytest.raises(ConfigError) as caught:
        refuse_other_recipe(tiny_recipe(train__epochs=9, seed=4, data__root="/elsewhere"), run)
    for difference in (
        "seed: 3 there, 4 now",
        "train.epochs: 2 there, 9 now",
        "data.root: None there, /elsewhere now",
    ):
        assert difference in str(caught.value)
    assert str(caught.value).count(" there, ") == 3


@pytest.mark.parametrize(
    "changes",
    [{"dataset": "1" * 64}, {"val": INFO.train, "train": INFO.val}, {"val": INFO.test, "test": INFO.val}],
)
def test_other_videos_are_refused(changes, run):
    refuse_other_data(INFO.model_copy(update={"data_root": "/moved", "versions": {}}), run)
    with pytest.raises(DataError, match=r"was started on other videos .* resume with those, or start a new"):
        refuse_other_data(INFO.model_copy(update=changes), run)


def test_a_run_that_never_began_was_started_on_no_videos(tmp_path):
    refuse_other_data(INFO, tmp_path)


def test_run_json_is_plain_json(run):
    found = json.loads((run / "run.json").read_text())
    assert found["schema_version"] == 1
    assert found["val"] == [{"name": "right/b.mp4", "label": "right", "group": "b"}]


def test_a_recipe_can_be_read_before_the_run_is_finished(run):
    (run / "model.pt").unlink()
    assert read_recipe(run) == tiny_recipe()
