"""Two processes train as one would with batches twice as large; only the first writes and prints."""

import os
import subprocess
import sys

import vedette_train.torchvision_compat  # noqa: F401 - before lightning is imported

import pytest
from train_helpers import tiny_recipe

from vedette_edge.errors import UsageError
from vedette_train.checkpoints import LAST, read_checkpoint
from vedette_train.distributed import process_layout
from vedette_train.fit import fit
from vedette_train.history import read_history

COMMON = {
    "train__optimizer": "sgd",
    "train__lr": 0.5,
    "train__weight_decay": 0.0,
    "init__freeze_batchnorm": True,  # else each process normalises by its own half
    "data__val_share": 0.4,
    "train__keep_epochs": True,
}


def test_one_process_is_the_rule():
    assert process_layout(1) == {"devices": 1, "strategy": "auto"}
    assert process_layout(3) == {"devices": 3, "strategy": "ddp"}


@pytest.mark.parametrize(("local", "world", "nodes"), [("2", "4", 2), ("2", "2", 1)])
def test_what_torchrun_started_is_read_from_the_environment(local, world, nodes, monkeypatch):
    for name, value in {
        "TORCHELASTIC_RUN_ID": "x",
        "LOCAL_WORLD_SIZE": local,
        "WORLD_SIZE": world,
    }.items():
        monkeypatch.setenv(name, value)
    assert process_layout(1) == {"devices": 2, "num_nodes": nodes, "strategy": "ddp"}
    assert process_layout(2) == process_layout(1)
    with pytest.raises(UsageError, match="torchrun started 2 processes here; leave --devices 3 out"):
        process_layout(3)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["torchrun", "devices"])
def test_two_processes_train_what_one_trains_with_batches_twice_as_large(launcher, data, cache, tmp_path):
    recipe = tiny_recipe(train__batch_size=1, **COMMON)
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    run = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    start = [*run, "-m", "vedette_train"] if launcher == "torchrun" else ["-m", "vedette_train"]
    arguments = ["fit", "recipe.yaml", "--data", str(data), "--out", "run"]
    done = subprocess.run(
        [sys.executable, *start, *arguments, *(["--devices", "2"] if launcher == "devices" else [])],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
        env=os.environ | {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for line in ("train: 4 videos of 2 groups", "epoch   2/2", "macro F1"):
        assert done.stderr.count(line) == 1, done.stderr
    assert "CPU, 1 threads, 2 processes" in done.stderr

    alone = tiny_recipe(train__batch_size=2, **COMMON)
    fit(alone, data, tmp_path / "alone", cache=cache)
    both, one = (read_checkpoint(tmp_path / name / LAST) for name in ("run", "alone"))
    assert both["global_step"] == one["global_step"] == 4
    first = read_checkpoint(tmp_path / "alone" / "checkpoints" / "epoch-001.ckpt")

    def furthest(state, other):
        return max((state[name] - other[name]).abs().max().item() for name in state if "weight" in name)

    assert furthest(first["state_dict"], one["state_dict"]) > 1e-3, "this test needs weights that move"
    assert furthest(both["state_dict"], one["state_dict"]) < 1e-5
    histories = [read_history(tmp_path / name) for name in ("run", "alone")]
    for column in ("train_loss", "val_loss", "val_accuracy", "val_f1", "lr"):
        assert histories[0][column] == pytest.approx(histories[1][column], abs=1e-5), column
    assert len(set(histories[0]["train_loss"])) == 2
