"""Going on after an interruption: the same weights, bit for bit, and the same history."""

import csv
import json
import os
import signal
import threading
import time

import vedette_train.torchvision_compat  # noqa: F401 - before lightning is imported

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from train_helpers import tiny_recipe

from vedette_edge.errors import ConfigError
from vedette_train.checkpoints import BEST, LAST, read_checkpoint
from vedette_train.fit import train
from vedette_train.history import read_history
from vedette_train.resume import refuse_unlike, stop_on_sigterm


class PowerFailureError(Exception):
    pass


class FailAt(Callback):
    """Cuts the power in the middle of an epoch, counted from 0."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_batch_end(self, trainer, *_):
        if trainer.current_epoch == self.epoch:
            raise PowerFailureError


def rows(run):
    with (run / "history.csv").open(newline="") as file:
        return [
            {key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)
        ]


def lines(run):
    found = [json.loads(line) for line in (run / "epochs.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in found]


def equal(one, other):
    """Compare checkpoints all the way down; what was never measured equals itself."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other or one != one


@pytest.mark.parametrize(
    "changes",
    [
        {"train__workers": 0, "train__optimizer": "adam"},
        {"train__workers": 2, "train__schedule": "step", "train__step_epochs": 1},
        {
            "train__schedule": "plateau",
            "train__plateau_patience": 1,
            "train__min_delta": 9.0,
            "train__patience": 3,
            "train__grad_clip": 0.5,
        },
        {"train__precision": "bf16-mixed", "train__prune": {"warmup": 1, "epochs": 2, "end": 0.4}},
        {"train__quantise": {"observe": 0.25, "freeze_after": 0.75}, "init__freeze_batchnorm": True},
    ],
    ids=["cosine", "workers", "plateau", "pruned", "int8"],
)
def test_a_resumed_training_ends_bit_for_bit_as_an_uninterrupted_one(changes, data, cache, tmp_path):
    common = {"train__epochs": 4, "train__batch_size": 2, "model__dropout": 0.5, "augment__hue": 0.2}
    recipe = tiny_recipe(**common | changes)
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    train(recipe, data, straight, cache=cache)
    with pytest.raises(PowerFailureError):
        train(recipe, data, broken, cache=cache, callbacks=[FailAt(2)])
    assert read_history(broken)["epoch"] == [1.0, 2.0]
    train(recipe, data, broken, cache=cache, resume=True)

    assert rows(broken) == rows(straight)
    assert lines(broken) == lines(straight)
    assert [line["epoch"] for line in lines(broken)] == [1, 2, 3, 4]
    assert (broken / "model.pt").read_bytes() == (straight / "model.pt").read_bytes()
    for name in (LAST, BEST):
        first, second = read_checkpoint(straight / name), read_checkpoint(broken / name)
        for part in ("state_dict", "optimizer_states", "lr_schedulers", "callbacks", "global_step", "epoch"):
            assert equal(first[part], second[part]), part
        assert first.get("plateau") == second.get("plateau")


def test_augmentation_does_not_depend_on_the_number_of_workers(data, cache, tmp_path):
    weights = []
    for workers in (0, 2):
        out = tmp_path / str(workers)
        train(tiny_recipe(train__workers=workers, model__dropout=0.5), data, out, cache=cache)
        weights.append((out / "model.pt").read_bytes())
    assert weights[0] == weights[1]


def test_a_run_that_was_moved_keeps_its_best_epoch(data, cache, tmp_path):
    # Nothing is learnt, so the first epoch stays the best.
    recipe = tiny_recipe(train__epochs=3, train__lr=1e-30, init__freeze_batchnorm=True)
    with pytest.raises(PowerFailureError):
        train(recipe, data, tmp_path / "run", cache=cache, callbacks=[FailAt(1)])
    moved = (tmp_path / "run").rename(tmp_path / "moved")
    train(recipe, data, moved, cache=cache, resume=True)
    assert read_checkpoint(moved / BEST)["epoch"] == 0
    assert read_checkpoint(moved / LAST)["epoch"] == 2


def test_a_training_that_stopped_early_stays_stopped(data, cache, tmp_path):
    recipe = tiny_recipe(
        train__epochs=9, train__patience=1, train__lr=1e-30, init__freeze_batchnorm=True, train__keep="last"
    )
    train(recipe, data, tmp_path / "run", cache=cache)
    before = (tmp_path / "run" / LAST).read_bytes(), rows(tmp_path / "run")
    train(recipe, data, tmp_path / "run", cache=cache, resume=True)
    assert ((tmp_path / "run" / LAST).read_bytes(), rows(tmp_path / "run")) == before


@pytest.mark.parametrize("schedule", ["constant", "step", "plateau"])
def test_epochs_may_be_added_where_the_rates_do_not_depend_on_their_number(schedule, data, cache, tmp_path):
    changes = {"train__schedule": schedule, "train__step_epochs": 1, "train__warmup": 0.5}
    train(tiny_recipe(train__epochs=1, **changes), data, tmp_path / "run", cache=cache)
    first = rows(tmp_path / "run")
    train(tiny_recipe(train__epochs=3, **changes), data, tmp_path / "run", cache=cache, resume=True)
    found = rows(tmp_path / "run")
    assert found[0] == first[0]
    assert len(found) == 3
    rates = [float(row["lr"]) for row in found]
    # The warm-up is that of one epoch, not stretched to half of three.
    assert rates[0] == rates[1] if schedule != "step" else rates[1] == pytest.approx(0.3 * rates[0])


def test_epochs_are_not_added_to_a_cosine_nor_taken_from_anything(tmp_path):
    (tmp_path / "recipe.yaml").write_text(tiny_recipe(train__epochs=4).to_yaml())
    with pytest.raises(ConfigError, match=r"train\.epochs: 4 there, 5 now"):
        refuse_unlike(tiny_recipe(train__epochs=5), tmp_path)
    (tmp_path / "recipe.yaml").write_text(tiny_recipe(train__epochs=4, train__schedule="constant").to_yaml())
    with pytest.raises(ConfigError, match=r"train\.epochs: 4 there, 3 now"):
        refuse_unlike(tiny_recipe(train__epochs=3, train__schedule="constant"), tmp_path)
    with pytest.raises(ConfigError, match=r"train\.lr: 0\.001 there, 0\.5 now"):
        refuse_unlike(tiny_recipe(train__epochs=5, train__schedule="constant", train__lr=0.5), tmp_path)


def test_sigterm_ends_the_block_with_its_code_and_the_handler_comes_back(capsys):
    before = signal.getsignal(signal.SIGTERM)

    def be_told_to_stop():
        with stop_on_sigterm():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)

    with pytest.raises(SystemExit) as caught:
        be_told_to_stop()
    assert caught.value.code == 128 + signal.SIGTERM
    assert "stopped by SIGTERM; go on with --resume" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before


def test_in_another_thread_signals_are_left_alone():
    seen = []

    def act():
        with stop_on_sigterm():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()
    assert seen == [before]
