"""`vedette-train quantise`: the same split, plain weights, and a table of before and after."""

import re

import vedette_train.torchvision_compat  # noqa: F401 - before lightning is imported

import pytest
import torch
from door_helpers import through_door
from train_helpers import tiny_recipe

from vedette_edge.errors import UsageError
from vedette_train.__main__ import main
from vedette_train.quantise import calibration_clips, fine_tuning_recipe, quantise_run
from vedette_train.runs import open_run, read_recipe


@pytest.fixture
def command(monkeypatch, capsys, tmp_path, cache):
    return through_door(main, monkeypatch, capsys, tmp_path, "vedette-train", XDG_CACHE_HOME=str(cache))


def test_a_run_is_gone_on_with_on_its_own_split_and_judged_before_and_after(command, run_directory, tmp_path):
    code, printed = command("quantise", run_directory, "--out", "new", "--epochs", 1, "--lr", 1e-3)
    assert code == 0
    old, new = open_run(run_directory), open_run(tmp_path / "new")
    for part in ("train", "val", "test"):
        assert {sample.name for sample in new.info.part(part)} == {s.name for s in old.info.part(part)}
    assert new.recipe.train.quantise is not None
    before, after = old.network().state_dict(), new.network().state_dict()
    assert list(after) == list(before)
    assert not torch.equal(after["classifier.linear.weight"], before["classifier.linear.weight"])
    statistics = [name for name in before if name.endswith("running_mean")]
    assert all(torch.equal(after[name], before[name]) for name in statistics)
    assert (tmp_path / "new" / "metrics.json").is_file()
    for name in (run_directory.name, "new"):
        for precision in ("float", "int8"):
            figures = r"[01]\.\d{3} +│ 0\.\d{3} to [01]\.\d{3} +│ 2 +│ \d\.\d{4}"
            assert re.search(rf"{name} +│ {precision} +│ {figures}", printed)
    assert "validation; int8 is simulated" in printed

    code, printed = command("quantise", run_directory, "--out", "new")
    assert code == 2
    assert "new is not empty" in printed


def test_videos_that_are_new_since_the_training_are_not_dealt_anew(command, own_run, data):
    split = own_run / "split.csv"
    split.write_text("".join(split.read_text().splitlines(keepends=True)[:-1]))
    code, printed = command("quantise", own_run, "--out", "new", "--data", data)
    assert code == 1
    assert "split.csv has no row for" in printed


def test_the_recipe_differs_only_where_it_must(own_run):
    before = tiny_recipe(
        init__probe=2,
        train__lr_spatial=1e-5,
        train__epochs=9,
        train__patience=2,
        train__label_smoothing=0.1,
        train__keep="last",
        train__prune={"start": 0.1, "end": 0.4, "warmup": 1, "epochs": 3},
    )
    (own_run / "recipe.yaml").write_text(before.to_yaml())
    after = fine_tuning_recipe(open_run(own_run), epochs=2, lr=3e-5)
    assert after.data == before.data.model_copy(update={"split_file": own_run / "split.csv"})
    assert after.init.run == own_run
    assert after.init.freeze_batchnorm
    assert after.init.probe == 0
    assert (after.model, after.augment, after.seed) == (before.model, before.augment, before.seed)
    assert (after.train.epochs, after.train.lr, after.train.lr_spatial) == (2, 3e-5, None)
    assert after.train.label_smoothing == 0.1
    assert after.train.keep == "best"
    # Channels that were masked stay masked, from the first epoch on.
    assert (after.train.prune.start, after.train.prune.end, after.train.prune.warmup) == (0.4, 0.4, 0)
    assert read_recipe(own_run) == before


def test_bad_use_is_told_before_anything_is_judged(own_run, tmp_path):
    (tmp_path / "there").write_text("")
    with pytest.raises(UsageError, match="there is a file"):
        next(quantise_run(open_run(own_run), tmp_path / "there", epochs=1, lr=1e-4))


def test_calibration_sees_the_middle_and_the_ends_of_training_videos(run_directory, data):
    run = open_run(run_directory)
    assert len(run.info.train) == 4
    assert calibration_clips(run, data).shape == (4 * 3, 3, 4, 32, 64)
