"""Training as a user meets it: the run's folder, refusals, interruptions, and going on after them."""

import os
import shutil
import signal
import subprocess
import sys
import time

import vedette_train.torchvision_compat  # noqa: F401 - before lightning is imported

import pytest
import torch
from torchvision.models import mobilenet_v2
from train_helpers import (
    FPS,
    moving_square,
    recipe_values,
    tiny_recipe,
    write_dataset,
    write_groups,
    write_pictures,
)

from vedette_edge.errors import ConfigError, DataError, UsageError
from vedette_train.checkpoints import LAST, read_checkpoint
from vedette_train.data.parts import load_parts
from vedette_train.data.split import PARTS
from vedette_train.fit import fit, train
from vedette_train.history import read_history
from vedette_train.models.mobilenet_v2_3d import MobileNetV2_3d
from vedette_train.runs import open_run

FILES = {"recipe.yaml", "run.json", "model.pt", "history.csv", "curves.png", "metrics.json"}


NAN = r"the loss is nan at batch 2 of epoch 1 \((left|right)/\S+\.mp4(, \S+\.mp4)*\); lower train\.lr"


def network_state(checkpoint):
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    return {
        name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")
    }


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_holds_everything_that_later_steps_need(run_directory, data):
    assert {path.name for path in run_directory.iterdir()} >= FILES | {"predictions.csv", "confusion.png"}
    run = open_run(run_directory)
    assert run.recipe == tiny_recipe()
    assert run.info.labels == ("left", "right")
    assert run.info.data_root == str(data)
    assert [len(run.info.part(part)) for part in PARTS] == [4, 2, 2]
    assert not run.info.crossing
    assert (run_directory / "split.csv").read_bytes() == run.info.split_table()
    assert read_history(run_directory)["epoch"] == [1.0, 2.0]
    assert not list(run_directory.rglob("*.tmp"))


def test_best_keeps_the_epoch_of_the_lowest_loss_and_last_the_last(run_directory, data, cache, tmp_path):
    losses = read_history(run_directory)["val_loss"]
    assert losses[0] < losses[1], "this test needs a best epoch that is not the last"
    fit(tiny_recipe(train__keep="last"), data, tmp_path / "last", cache=cache)
    best = network_state(run_directory / "checkpoints" / "best.ckpt")
    last = network_state(tmp_path / "last" / "checkpoints" / "last.ckpt")
    assert not same(best, last)
    assert same(open_run(run_directory).network().state_dict(), best)
    assert same(open_run(tmp_path / "last").network().state_dict(), last)
    # Both trained alike, so the same seed gives the same weights.
    assert same(network_state(tmp_path / "last" / "checkpoints" / "best.ckpt"), best)


def test_a_folder_with_something_in_it_is_not_overwritten(own_run, data, cache):
    before = (own_run / "model.pt").read_bytes()
    with pytest.raises(UsageError, match="is not empty; add --resume"):
        fit(tiny_recipe(), data, own_run, cache=cache)
    assert (own_run / "model.pt").read_bytes() == before


@pytest.mark.parametrize("exists", [False, True])
def test_nothing_cannot_be_resumed(exists, data, cache, tmp_path):
    if exists:
        (tmp_path / "run").mkdir()
    with pytest.raises(UsageError, match="holds no run to resume"):
        fit(tiny_recipe(), data, tmp_path / "run", resume=True, cache=cache)


def test_a_file_is_no_place_for_a_run(data, cache, tmp_path):
    (tmp_path / "run").write_text("notes")
    with pytest.raises(UsageError, match="is a file; --out is the run's folder"):
        fit(tiny_recipe(), data, tmp_path / "run", cache=cache)


def test_a_run_is_not_resumed_with_another_recipe(own_run, data, cache):
    with pytest.raises(ConfigError, match=r"train\.epochs: 2 there, 5 now; train\.lr: .* 0\.5 now"):
        fit(tiny_recipe(train__epochs=5, train__lr=0.5), data, own_run, resume=True, cache=cache)


def test_a_run_is_not_resumed_on_other_videos(own_run, tmp_path):
    other = write_dataset(tmp_path / "other", groups=5)
    before = (own_run / "run.json").read_bytes()
    with pytest.raises(DataError, match="was started on other videos"):
        fit(tiny_recipe(), other, own_run, resume=True, cache=tmp_path / "cache")
    assert (own_run / "run.json").read_bytes() == before


def test_a_finished_run_that_was_moved_can_be_resumed_and_stays_as_it_is(data, cache, tmp_path):
    recipe = tiny_recipe(train__epochs=1)
    fit(recipe, data, tmp_path / "run", cache=cache)
    history, metrics = ((tmp_path / "run" / name).read_text() for name in ("history.csv", "metrics.json"))
    moved = (tmp_path / "run").rename(tmp_path / "moved")
    fit(recipe, data, moved, resume=True, cache=cache)
    assert (moved / "history.csv").read_text() == history
    assert (moved / "metrics.json").read_text() == metrics
    assert not (tmp_path / "run").exists()


def test_a_run_that_finished_no_epoch_starts_from_the_first(own_run, data, cache, capsys):
    for name in ("checkpoints", "tensorboard"):
        shutil.rmtree(own_run / name)
    for name in ("model.pt", "history.csv"):
        (own_run / name).unlink()
    fit(tiny_recipe(), data, own_run, resume=True, cache=cache)
    assert "no epoch was finished before: starting from the first" in capsys.readouterr().err
    assert read_history(own_run)["epoch"] == [1.0, 2.0]


@pytest.mark.slow
@pytest.mark.parametrize("interruption", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_goes_on_after_its_last_finished_epoch(interruption, data, cache, tmp_path):
    # Nothing is learnt, so the best epoch stays the first: it must not be gone on from.
    recipe = tiny_recipe(train__epochs=7, train__lr=1e-30, init__freeze_batchnorm=True)
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    out = tmp_path / "run"
    arguments = ("fit", tmp_path / "recipe.yaml", "--data", data, "--out", out)
    with subprocess.Popen(
        [sys.executable, "-m", "vedette_train", *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(tmp_path)},
    ) as process:
        until = time.monotonic() + 120
        while len(read_history(out)["epoch"]) < 3 and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(interruption)
        printed = process.communicate(timeout=60)[1]
    codes = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -signal.SIGKILL}
    assert process.returncode == codes[interruption], printed
    if interruption == signal.SIGTERM:
        assert printed.endswith("stopped by SIGTERM; go on with --resume\n")
    if interruption == signal.SIGINT:
        assert printed.endswith("vedette-train: interrupted\n")
    assert "Traceback" not in printed
    before = read_history(out)
    finished = len(before["epoch"])
    assert finished < 7
    assert not (out / "model.pt").exists()

    fit(recipe, data, out, resume=True, cache=cache)
    after = read_history(out)
    assert after["epoch"] == [float(epoch) for epoch in range(1, 8)]
    assert after["val_loss"][: finished - 1] == before["val_loss"][: finished - 1]
    assert after["seconds"][: finished - 1] == before["seconds"][: finished - 1]  # not trained again
    assert open_run(out).network()


def test_without_a_validation_part_the_last_epoch_is_kept_and_judged_on_the_test_part(data, cache, tmp_path):
    recipe = tiny_recipe(data__val_share=0, train__keep="last")
    run = fit(recipe, data, tmp_path / "run", cache=cache)
    assert [len(run.info.part(part)) for part in PARTS] == [6, 0, 2]
    history = read_history(run.directory)
    assert (len(history["train_loss"]), history["val_loss"], history["val_accuracy"]) == (2, [], [])
    assert {path.name for path in (run.directory / "checkpoints").iterdir()} == {"last.ckpt"}
    assert (run.directory / "curves.png").is_file()
    resumed = fit(recipe, data, run.directory, resume=True, cache=cache)
    assert same(resumed.network().state_dict(), run.network().state_dict())


def test_a_run_that_does_not_improve_stops_early(data, cache, tmp_path, capsys):
    # At such a rate with frozen statistics nothing changes at all.
    recipe = tiny_recipe(
        train__epochs=9, train__patience=2, train__lr=1e-30, init__freeze_batchnorm=True, train__keep="last"
    )
    fit(recipe, data, tmp_path / "run", cache=cache)
    losses = read_history(tmp_path / "run")["val_loss"]
    assert len(losses) == 3
    assert len(set(losses)) == 1
    assert "stopped early: val_loss is without gain for 2 epochs" in capsys.readouterr().err


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_batch(data, cache, tmp_path):
    recipe = tiny_recipe(train__lr=1e30, data__clips_per_video=2)
    with pytest.raises(DataError, match=NAN):
        fit(recipe, data, tmp_path / "run", cache=cache)
    assert not (tmp_path / "run" / "model.pt").exists()
    with pytest.raises(DataError, match="its training did not finish"):
        open_run(tmp_path / "run")


def test_a_class_that_lies_in_one_part_only_leaves_the_losses_finite(tmp_path):
    root = write_dataset(tmp_path / "data")
    write_pictures(root / "rare" / "only.mp4", moving_square("left", 9))
    rows = (root / "groups.csv").read_text().split()[1:]
    write_groups(root, [*(row.split(",") for row in rows), ("rare/only.mp4", "rare", "scene-9")])
    changes = {"train__balance": True, "train__batch_size": 1, "train__epochs": 1}
    recipes = [tiny_recipe(data__fold=fold, **changes) for fold in range(4)]
    rare = 1
    recipe = next(
        one
        for one in recipes
        if rare in {video.label for video in load_parts(one, root, tmp_path / "cache").val}
    )
    fit(recipe, root, tmp_path / "run", cache=tmp_path / "cache")
    (loss,) = read_history(tmp_path / "run")["val_loss"]
    assert 0 < loss < 100


@pytest.mark.slow
def test_a_run_can_start_from_the_weights_of_a_2d_network(data, cache, tmp_path):
    torch.manual_seed(0)
    torch.save(mobilenet_v2().state_dict(), tmp_path / "flat.pth")
    recipe = tiny_recipe(
        model__width_mult=1.0,
        model__mode="causal",
        init__weights=str(tmp_path / "flat.pth"),
        init__freeze_batchnorm=True,
        train__epochs=1,
        train__lr=1e-30,
    )
    run = fit(recipe, data, tmp_path / "run", cache=cache)
    network, flat = run.network(), torch.load(tmp_path / "flat.pth")
    assert isinstance(network, MobileNetV2_3d)
    kernel = network.features[0].conv.weight
    assert torch.equal(kernel[:, :, -1], flat["features.0.0.weight"])
    assert kernel[:, :, :-1].abs().max() < 1e-20


def test_weights_that_do_not_fit_end_before_training(data, cache, tmp_path):
    torch.save({"features.0.0.weight": torch.zeros(1, 1, 1, 1)}, tmp_path / "other.pth")
    recipe = tiny_recipe(init__weights=str(tmp_path / "other.pth"))
    with pytest.raises(DataError, match="the weights have 1 layers"):
        fit(recipe, data, tmp_path / "run", cache=cache)


def test_the_helpers_write_what_the_recipe_samples():
    assert recipe_values()["data"]["input"]["fps"] == FPS


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(run_directory, data, cache, tmp_path):
    weights = []
    for seed in (3, 4):
        # The run that all tests share has seed 3; its division is given, so that only chance differs.
        recipe = tiny_recipe(seed=seed, data__split_file=str(run_directory / "split.csv"))
        train(recipe, data, tmp_path / str(seed), cache=cache)
        weights.append((tmp_path / str(seed) / "model.pt").read_bytes())
    assert weights[0] == (run_directory / "model.pt").read_bytes()
    assert weights[1] != weights[0]


def test_only_a_share_of_the_batches_is_trained_but_never_none(data, cache, tmp_path):
    for share, batches in ((0.05, 1), (0.5, 2), (1.0, 4)):
        recipe = tiny_recipe(train__batch_size=1, train__epochs=1, train__limit_batches=share)
        train(recipe, data, tmp_path / str(share), cache=cache)
        assert read_checkpoint(tmp_path / str(share) / LAST)["global_step"] == batches


def test_a_clip_and_its_shifted_twin_are_taught_to_agree(data, cache, tmp_path):
    losses = []
    for weight in (1e-6, 50.0):
        recipe = tiny_recipe(train__consistency=weight, train__epochs=1, model__dropout=0.5)
        train(recipe, data, tmp_path / str(weight), cache=cache)
        losses += read_history(tmp_path / str(weight))["train_loss"]
    assert losses[0] < losses[1]


@pytest.mark.parametrize("precision", ["16-mixed", "bf16-mixed"])
def test_mixed_precision_on_a_processor_is_bfloat16_and_said(precision, data, cache, tmp_path, capsys):
    recipe = tiny_recipe(train__precision=precision, train__epochs=1)
    train(recipe, data, tmp_path / "run", cache=cache)
    assert ("training in bf16-mixed" in capsys.readouterr().err) is (precision == "16-mixed")
    exact = tiny_recipe(train__epochs=1)
    train(exact, data, tmp_path / "exact", cache=cache)
    (mixed,), (full,) = (read_history(tmp_path / name)["train_loss"] for name in ("run", "exact"))
    assert mixed == pytest.approx(full, rel=0.05)
    assert mixed != full
