"""Training: finished runs, resuming to the bit, stopping early, losses that are not finite."""

import json

import pytest
import torch
from anomaly_helpers import tiny_anomaly

from vedette_edge.errors import ConfigError, DataError, UsageError
from vedette_train.anomaly import loop
from vedette_train.anomaly.loop import read_losses
from vedette_train.anomaly.run import open_anomaly_run
from vedette_train.anomaly.training import fit_anomaly


def states_equal(first, second):
    a, b = first.state_dict(), second.state_dict()
    return all(torch.equal(a[key], b[key]) for key in a)


def test_a_run_leaves_everything_that_its_folder_promises(shared_run):
    names = {path.name for path in shared_run.directory.iterdir()}
    assert names >= {
        *("recipe.yaml", "run.json", "model.pt", "history.csv", "curves.png", "metrics.json"),
        *("roc.png", "confusion.png", "predictions.csv", "panels", "overlays", "checkpoints"),
    }
    assert len(list((shared_run.directory / "panels").iterdir())) == 2
    assert len(list((shared_run.directory / "overlays").iterdir())) == 10
    assert read_losses(shared_run.directory)["epoch"] == [1.0, 2.0]


def test_the_report_has_figures_for_pictures_and_for_pixels(shared_run):
    metrics = json.loads((shared_run.directory / "metrics.json").read_text())
    assert metrics["pictures"] == {"good": 4, "bad": 6, "groups": 10}
    assert 0 <= metrics["image_auroc"]["low"] <= metrics["image_auroc"]["value"] <= 1
    assert set(metrics["kinds"]) == {"dent", "scratch", "stain"}
    assert metrics["masks"] == 6
    assert 0 < metrics["pixel_auroc"] <= 1
    assert 0 <= metrics["pro"] <= 1
    assert sum(map(sum, metrics["confusion"])) == 10


def test_the_held_out_pictures_are_not_trained_on(shared_run):
    assert not set(shared_run.info.train) & set(shared_run.info.held_out)
    assert len(shared_run.info.train) + len(shared_run.info.held_out) == 12


def test_the_weights_are_tensors_and_floats_only(shared_run):
    data = torch.load(shared_run.directory / "model.pt", weights_only=True)
    assert set(data) == {"state", "threshold", "map_low", "map_high"}
    assert all(type(data[key]) is float for key in ("threshold", "map_low", "map_high"))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"anomaly__method": "defects", "train__schedule": "cosine", "draw__hflip": 0.5, "draw__light": 0.5},
        {
            "anomaly__method": "defects",
            "draw__variants": 2,
            "train__average": 0.9,
            "train__weight_decay": 0.01,
        },
    ],
)
def test_an_interrupted_run_ends_with_the_same_weights_to_the_bit(changes, surfaces, tmp_path, monkeypatch):
    recipe = tiny_anomaly(train__epochs=3, train__keep="last", data__test=False, **changes)
    straight = fit_anomaly(recipe, surfaces, tmp_path / "straight")
    out = tmp_path / "interrupted"
    saves = []

    def interrupted(path, data):
        saves.append(path)
        original(path, data)
        if len(saves) == 2:
            raise KeyboardInterrupt

    original = loop.save_tensors
    monkeypatch.setattr(loop, "save_tensors", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit_anomaly(recipe, surfaces, out)
    monkeypatch.undo()
    assert not (out / "model.pt").exists()
    resumed = fit_anomaly(recipe, surfaces, out, resume=True)
    (first, before), (second, after) = straight.detector(), resumed.detector()
    assert states_equal(first, second)
    assert before == after


def test_resuming_with_another_recipe_lists_what_differs(own_run, surfaces):
    with pytest.raises(ConfigError, match=r"train\.lr: 0\.001 there, 0\.1 now"):
        fit_anomaly(tiny_anomaly(train__lr=0.1), surfaces, own_run.directory, resume=True)


def test_resuming_on_other_pictures_is_refused(own_run, tmp_path):
    from anomaly_helpers import write_surfaces

    other = write_surfaces(tmp_path / "other", seed=9)
    with pytest.raises(DataError, match="was started on other pictures"):
        fit_anomaly(own_run.recipe, other, own_run.directory, resume=True)


def test_a_folder_with_a_run_is_not_overwritten(own_run, surfaces, tmp_path):
    with pytest.raises(UsageError, match="is not empty; add --resume"):
        fit_anomaly(own_run.recipe, surfaces, own_run.directory)
    with pytest.raises(UsageError, match="holds no run to resume"):
        fit_anomaly(own_run.recipe, surfaces, tmp_path / "none", resume=True)


def test_training_stops_when_nothing_is_gained(surfaces, tmp_path):
    recipe = tiny_anomaly(
        train__epochs=9, train__patience=2, train__lr=1e-30, anomaly__batch_norm=False, data__test=False
    )
    run = fit_anomaly(recipe, surfaces, tmp_path / "run")
    assert len(read_losses(run.directory)["epoch"]) == 3


def test_a_loss_that_is_not_finite_stops_and_names_the_batch_and_its_pictures(surfaces, tmp_path):
    recipe = tiny_anomaly(train__lr=1e30, anomaly__batch_norm=False)
    with pytest.raises(DataError, match=r"the loss is (nan|inf) at batch 1 of epoch 0 \(train/good/.*png\)"):
        fit_anomaly(recipe, surfaces, tmp_path / "run")
    with pytest.raises(DataError, match="its training did not finish"):
        open_anomaly_run(tmp_path / "run")


def test_a_damaged_model_is_named(own_run):
    (own_run.directory / "model.pt").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"model\.pt: cannot load the weights"):
        own_run.detector()


def test_weights_that_are_not_finite_are_refused(own_run):
    path = own_run.directory / "model.pt"
    data = torch.load(path, weights_only=True)
    data["state"]["autoencoder.encoder.0.bias"][0] = float("nan")
    torch.save(data, path)
    with pytest.raises(DataError, match=r"1 values are NaN or infinite, first autoencoder\.encoder\.0\.bias"):
        own_run.detector()


def test_the_published_settings_train_too(surfaces, tmp_path):
    recipe = tiny_anomaly(faithful=True, threshold__fit_on="train", data__test=False)
    run = fit_anomaly(recipe, surfaces, tmp_path / "run")
    assert recipe.spec.mean == (0.0, 0.0, 0.0)
    metrics = json.loads((run.directory / "metrics.json").read_text())
    assert metrics["threshold"]["pictures"] == len(run.info.train)
