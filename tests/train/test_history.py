"""history.csv: one row an epoch, whatever was interrupted and trained again."""

from types import SimpleNamespace

import pytest
import torch

from vedette_train.history import COLUMNS, EpochReport, read_history

VALIDATED = {"val_loss": 0.5, "val_accuracy": 0.25, "val_f1": 0.125}


def finish(report, epoch, loss, measured=VALIDATED, first=True):
    """What Lightning tells the callback over one epoch."""
    figures = {"train_loss": loss, "train_accuracy": 0.5, **measured}
    if "val_loss" in measured:
        figures["val_loss"] = loss
    trainer = SimpleNamespace(
        current_epoch=epoch,
        max_epochs=9,
        num_training_batches=2,
        is_global_zero=first,
        optimizers=[SimpleNamespace(param_groups=[{"lr": 0.25}, {"lr": 0.5}])],
        callback_metrics={name: torch.tensor(value) for name, value in figures.items()},
    )
    report.on_train_epoch_start(trainer, None)
    report.on_train_batch_end(trainer, None, None, None, 0)
    report.on_train_epoch_end(trainer, None)


def test_each_epoch_is_a_row_and_a_line(tmp_path, capsys):
    report = EpochReport(tmp_path)
    for epoch, loss in enumerate((0.75, 0.5)):
        finish(report, epoch, loss)
    found = read_history(tmp_path)
    assert tuple(found) == COLUMNS
    assert found["epoch"] == [1.0, 2.0]
    assert found["val_loss"] == [0.75, 0.5]
    assert found["train_accuracy"] == [0.5, 0.5]
    assert found["val_f1"] == [0.125, 0.125]
    assert found["lr"] == [0.5, 0.5]
    assert found["pruned"] == []
    assert all(seconds >= 0 for seconds in found["seconds"])
    printed = capsys.readouterr().err
    assert (
        "epoch   2/9   loss 0.500 / 0.500   accuracy 0.500 / 0.250   (train / val)   F1 0.125   " in printed
    )


def test_without_validation_there_is_nothing_of_it(tmp_path, capsys):
    finish(EpochReport(tmp_path), 0, 0.75, {"pruned": 0.1})
    assert "loss 0.750   accuracy 0.500   (train)   pruned 10.0%   " in capsys.readouterr().err
    assert read_history(tmp_path)["val_loss"] == []
    assert read_history(tmp_path)["pruned"] == [0.1]


def test_only_the_first_of_several_processes_writes(tmp_path):
    finish(EpochReport(tmp_path), 0, 0.75, first=False)
    assert not list(tmp_path.iterdir())


def test_epochs_that_are_trained_again_replace_their_rows_and_all_later_ones(tmp_path):
    first = EpochReport(tmp_path)
    for epoch in range(4):
        finish(first, epoch, 0.5)
    finish(EpochReport(tmp_path), 1, 0.125)
    assert read_history(tmp_path)["epoch"] == [1.0, 2.0]
    assert read_history(tmp_path)["val_loss"] == [0.5, 0.125]


def test_a_run_without_history_has_empty_columns(tmp_path):
    assert read_history(tmp_path) == {column: [] for column in COLUMNS}


@pytest.mark.parametrize("opened", [True, False])
def test_an_exception_leaves_no_bar_behind(opened, tmp_path):
    report = EpochReport(tmp_path)
    if opened:
        report.on_train_epoch_start(
            SimpleNamespace(current_epoch=0, max_epochs=1, num_training_batches=1), None
        )
    report.on_exception(None, None, None)
    finish(report, 0, 0.5)  # a second bar cannot start while one is up
    assert read_history(tmp_path)["epoch"] == [1.0]
