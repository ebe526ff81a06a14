"""Checkpoints: whole or not there, whatever the disk does; which epochs are kept."""

import os
import resource
import subprocess
import sys

import vedette_train.torchvision_compat  # noqa: F401 - before lightning is imported

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from train_helpers import tiny_recipe

from vedette_edge.errors import DataError
from vedette_train.checkpoints import BEST, LAST, WholeFiles, read_checkpoint
from vedette_train.fit import train
from vedette_train.history import read_history

# A shell that allows files of so many bytes, then trains.
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)), resource.RLIM_INFINITY))
from vedette_train.__main__ import main
sys.exit(main())
"""


class Interrupt(Callback):
    """Ends a training in its second epoch."""

    def on_train_batch_end(self, trainer, *_):
        if trainer.current_epoch == 1:
            raise DataError("interrupted")


@pytest.fixture
def small_files():
    """Let no file grow beyond 64 KiB: what a full disk looks like."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("small_files")
def test_a_full_disk_leaves_the_checkpoint_before_it_whole(tmp_path):
    path = tmp_path / "checkpoints" / "last.ckpt"
    WholeFiles().save_checkpoint({"state_dict": {"weight": torch.ones(9)}}, path)
    with pytest.raises(
        DataError, match=r"cannot write a checkpoint of 4\.0 MB \(File too large\); the one bef"
    ):
        WholeFiles().save_checkpoint({"state_dict": {"weight": torch.ones(1_000_000)}}, path)
    assert read_checkpoint(path)["state_dict"]["weight"].tolist() == [1.0] * 9
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


@pytest.mark.slow
def test_a_training_that_fills_the_disk_says_so_and_goes_on_when_there_is_room(data, cache, tmp_path):
    recipe = tiny_recipe(train__epochs=2)
    with pytest.raises(DataError, match="interrupted"):
        train(recipe, data, tmp_path / "run", cache=cache, callbacks=[Interrupt()])
    whole = (tmp_path / "run" / LAST).read_bytes()
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    arguments = ("fit", tmp_path / "recipe.yaml", "--data", data, "--out", tmp_path / "run", "--resume")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(len(whole) // 2), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "cannot write a checkpoint" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert (tmp_path / "run" / LAST).read_bytes() == whole
    train(recipe, data, tmp_path / "run", cache=cache, resume=True)
    assert read_history(tmp_path / "run")["epoch"] == [1.0, 2.0]


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None])
def test_what_is_no_checkpoint_is_refused(content, tmp_path):
    path = tmp_path / "last.ckpt"
    if content is None:
        torch.save({"weight": torch.ones(1)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"last\.ckpt: not a checkpoint"):
        WholeFiles().load_checkpoint(path)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": {}, "callbacks": os.system}, path)
    with pytest.raises(DataError, match="not a checkpoint that can be read"):
        read_checkpoint(path)


def test_every_epoch_can_be_kept(data, cache, tmp_path):
    train(tiny_recipe(train__keep_epochs=True), data, tmp_path / "run", cache=cache)
    names = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert names == {"best.ckpt", "last.ckpt", "epoch-001.ckpt", "epoch-002.ckpt"}
    assert read_checkpoint(tmp_path / "run" / "checkpoints" / "epoch-001.ckpt")["epoch"] == 0


@pytest.mark.parametrize("monitor", ["val_accuracy", "val_f1"])
def test_the_best_epoch_is_that_of_the_highest_figure_where_figures_rise(monitor, data, cache, tmp_path):
    recipe = tiny_recipe(train__epochs=4, train__monitor=monitor, train__lr=0.01)
    train(recipe, data, tmp_path / "run", cache=cache)
    figures = read_history(tmp_path / "run")[monitor]
    assert read_checkpoint(tmp_path / "run" / BEST)["epoch"] == figures.index(max(figures))


def test_no_epoch_is_the_best_before_pruning_is_done(data, cache, tmp_path):
    # Nothing is learnt and nothing changes, so without masks the first epoch would stay the best.
    recipe = tiny_recipe(
        train__epochs=3,
        train__lr=1e-30,
        init__freeze_batchnorm=True,
        train__prune={"start": 0.0, "end": 0.0, "warmup": 1, "epochs": 1},
    )
    train(recipe, data, tmp_path / "run", cache=cache)
    assert read_checkpoint(tmp_path / "run" / BEST)["epoch"] == 2
