"""Weights & Biases: optional, offline where it is told so, one run there for one run here."""

import os
import subprocess
import sys

import vedette_train.torchvision_compat  # noqa: F401 - before lightning is imported

import pytest
from lightning.pytorch.loggers import TensorBoardLogger
from train_helpers import tiny_recipe

from vedette_edge.errors import MissingExtraError
from vedette_train.trackers import WandbTarget, loggers

# Trains, goes on for one more epoch, and says which runs W&B was given.
TWICE = """
import sys
from pathlib import Path
from vedette_train.fit import fit
from vedette_train.recipe import load_recipe
from vedette_train.trackers import WandbTarget
data, out = Path(sys.argv[1]), Path("run")
for epochs in (1, 2):
    recipe = load_recipe("recipe.yaml", [f"train.epochs={epochs}"])
    fit(recipe, data, out, resume=epochs == 2, cache=Path("cache"), wandb=WandbTarget("watch", "first"))
"""


def test_tensorboard_needs_no_asking(tmp_path):
    (logger,) = loggers(tmp_path, tiny_recipe(), None)
    assert isinstance(logger, TensorBoardLogger)


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'vedette\[wandb\]'"):
        loggers(tmp_path, tiny_recipe(), WandbTarget())


@pytest.mark.slow
def test_a_run_and_its_continuation_are_one_run_there_with_recipe_and_weights(data, tmp_path):
    pytest.importorskip("wandb", reason="the extra 'wandb' is not installed")
    (tmp_path / "recipe.yaml").write_text(tiny_recipe(train__schedule="constant").to_yaml())
    done = subprocess.run(
        [sys.executable, "-c", TWICE, str(data)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        env=os.environ | {"OMP_NUM_THREADS": "1", "WANDB_MODE": "offline"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    identity = (tmp_path / "run" / "wandb-id.txt").read_text().strip()
    logs = sorted((tmp_path / "run" / "wandb").glob(f"offline-run-*-{identity}/run-{identity}.wandb"))
    assert len(logs) == 2
    for log in logs:
        content = log.read_bytes()
        for said in (b"model.pt", b"recipe.yaml", b"val_f1", b"batch_size", b"watch", b"first"):
            assert said in content
    assert not list(tmp_path.glob("wandb*"))
