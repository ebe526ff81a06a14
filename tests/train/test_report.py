"""What a run is worth, as files."""

import json
import math

import pytest
import torch
from train_helpers import LABELS, tiny_recipe

from vedette_edge.errors import DataError
from vedette_train.card import FIGURES, model_card
from vedette_train.commands.options import print_metrics
from vedette_train.fit import fit
from vedette_train.predictions import Prediction, read_predictions
from vedette_train.report import Subject, calibrate_run, read_metrics, report_run, write_report
from vedette_train.runs import Sample, open_run, save_info, save_weights

FILES = {"metrics.json", "predictions.csv", "confusion.png", "roc.png"}


@pytest.fixture
def calibrated(own_run, data):
    """A run that says 4 to 1 for "left", whatever it sees, where 2 to 1 would be right: temperature 2."""
    run = open_run(own_run)
    network = run.network()
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.copy_(torch.tensor([math.log(4.0), 0.0]))
    save_weights(own_run, network)
    left = next(sample for sample in run.info.val if sample.label == "left")
    save_info(own_run, run.info.model_copy(update={"val": (*run.info.val, left)}))
    report_run(calibrate_run(open_run(own_run), data), data)
    return own_run


def predictions():
    rows = [("a", "left"), ("a", "right"), ("b", "left")]
    return [
        Prediction(Sample(name=f"{label}/{i}.mp4", label=label, group=group), "left", (0.75, 0.0, 0.25))
        for i, (group, label) in enumerate(rows)
    ]


def test_the_report_counts_what_was_right(tmp_path):
    subject = Subject(("left", "rare", "right"), "fold 0")
    metrics = write_report(tmp_path, subject, predictions(), {"folds": [1]})
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics == read_metrics(tmp_path)
    assert (metrics["split"], metrics["positive"], metrics["folds"]) == ("fold 0", None, [1])
    assert metrics["accuracy"]["value"] == pytest.approx(2 / 3)
    assert metrics["labels"]["left"]["recall"]["value"] == 1.0
    assert metrics["labels"]["right"]["recall"]["value"] == 0.0
    assert metrics["labels"]["rare"]["recall"] is None
    assert metrics["confusion"] == [[2, 0, 0], [0, 0, 0], [1, 0, 0]]
    assert "bootstrap over 2 groups" in metrics["intervals"]
    assert read_predictions(tmp_path / "predictions.csv")[1] == predictions()
    assert {path.name for path in tmp_path.iterdir()} == FILES


def test_of_two_classes_the_figures_are_those_of_the_alarm(tmp_path):
    rows = [
        Prediction(Sample(name=f"{n}.mp4", label=label, group=str(n)), found, shares)
        for n, (label, found, shares) in enumerate(
            [("a", "a", (0.9, 0.1)), ("b", "a", (0.6, 0.4)), ("b", "b", (0.2, 0.8)), ("a", "a", (0.7, 0.3))]
        )
    ]
    metrics = write_report(tmp_path, Subject(("a", "b"), "x", ("a",)), rows)
    assert metrics["positive"] == "b"
    assert [metrics[name]["value"] for name in ("precision", "recall", "specificity", "auc")] == [
        1,
        0.5,
        1,
        1,
    ]
    assert set(FIGURES) <= set(metrics)


@pytest.mark.parametrize("content", [None, "{", "[]", '{"split": "x", "accuracy": {"value": 1}}'])
def test_other_metrics_are_refused(content, tmp_path):
    if content is not None:
        (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(DataError, match=r"metrics\.json: (cannot be read|not the metrics) .*train evaluate"):
        read_metrics(tmp_path)


def test_a_run_is_calibrated_on_its_validation_part(calibrated, capsys):
    run, metrics = open_run(calibrated), read_metrics(calibrated)
    calibration = run.info.calibration
    assert (calibration.videos, calibration.windows) == (3, 15)
    assert calibration.temperature == pytest.approx(2.0, rel=1e-3)
    assert calibration.nll_after <= calibration.nll_before
    assert run.recipe.decision.temperature == 1.5 != run.decision.temperature == calibration.temperature
    assert metrics["split"] == run.split_name
    found = metrics["calibration"]
    assert found["before"]["windows"] == found["after"]["windows"] == 10
    assert found["temperature"] == calibration.temperature
    assert {path.name for path in calibrated.iterdir()} >= FILES | {"reliability.png", "card.md"}
    print_metrics(calibrated)
    assert "before and" in capsys.readouterr().err


def test_calibrating_again_changes_nothing(calibrated, data):
    before = (calibrated / "run.json").read_bytes()
    calibrate_run(open_run(calibrated), data)
    assert (calibrated / "run.json").read_bytes() == before


def test_so_few_videos_that_they_want_an_absurd_temperature_are_not_believed(own_run, data, capsys):
    run = calibrate_run(open_run(own_run), data)  # says the same of every window
    assert "because 10 windows of 2 validation videos want an absurd one (10.00)" in capsys.readouterr().err
    assert run.info.calibration is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"train__calibrate": False}, "because train.calibrate is false"),
        ({"data__val_share": 0, "train__keep": "last"}, "because there is no validation part"),
    ],
)
def test_without_a_calibration_the_recipe_decides_and_the_user_is_told(
    changes, reason, data, cache, tmp_path, capsys
):
    run = fit(tiny_recipe(train__epochs=1, **changes), data, tmp_path / "run", cache=cache)
    assert reason in capsys.readouterr().err
    assert run.info.calibration is None
    assert run.decision == run.recipe.decision
    metrics = read_metrics(run.directory)
    assert metrics["calibration"]["after"] is None
    assert "None: the temperature is the recipe's, 1.5" in (run.directory / "card.md").read_text()


def test_another_part_is_reported_beside(own_run, data):
    before = (own_run / "metrics.json").read_bytes()
    directory = report_run(open_run(own_run), data, part="train")
    assert directory == own_run / "train"
    assert read_metrics(directory)["split"].startswith("train, fold 0 of 4")
    assert len(read_predictions(directory / "predictions.csv")[1]) == 4
    assert (own_run / "metrics.json").read_bytes() == before


def test_the_card_says_what_was_measured_on_what(calibrated):
    run, metrics = open_run(calibrated), read_metrics(calibrated)
    card = (calibrated / "card.md").read_text()
    assert card == model_card(run, metrics)
    for text in (
        "# tiny\n",
        "- network: mobilenet_v2_3d (width_mult 0.25, mode high_temporal, dropout 0.0)",
        "| train | 4 | 2 | 2 | 2 |",
        "| test | 2 | 1 | 1 | 1 |",
        run.split_name,
        run.info.dataset[:12],
        f"| accuracy | {metrics['accuracy']['value']:.3f} |",
        f"Temperature {run.decision.temperature:.3f}, fitted on 15 windows of 3 validation videos",
        "![Confusion](confusion.png)",
        f"To call a person's attention to: {', '.join(LABELS)}.",
        "- torch ",
    ):
        assert text in card
    assert "flatter" not in card


def test_the_card_warns_of_what_flatters_and_of_what_nobody_knows(run_directory):
    run = open_run(run_directory)
    info = run.info.model_copy(update={"test": (), "val": run.info.train})
    metrics = read_metrics(run_directory)
    metrics["labels"]["left"]["recall"] = None
    card = model_card(type(run)(run.directory, run.recipe, info), metrics)
    assert "**2 groups are both trained on and held out: the figures flatter.**" in card
    assert "There is no test part" in card
    assert "Nothing is known of how well it finds: left" in card
