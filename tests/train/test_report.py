"""What a run is worth, as files."""

import json

import pytest

from vedette_train.predictions import Prediction, read_predictions
from vedette_train.report import write_report
from vedette_train.runs import Sample


def predictions():
    rows = [("a", "left"), ("a", "right"), ("b", "left")]
    return [
        Prediction(Sample(name=f"{label}/{i}.mp4", label=label, group=group), "left", (0.75, 0.0, 0.25))
        for i, (group, label) in enumerate(rows)
    ]


def test_the_report_counts_what_was_right(tmp_path):
    metrics = write_report(tmp_path, ("left", "rare", "right"), predictions(), "fold 0")
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    assert metrics["split"] == "fold 0"
    assert metrics["accuracy"]["value"] == pytest.approx(2 / 3)
    assert metrics["recall"]["left"]["value"] == 1.0
    assert metrics["recall"]["right"]["value"] == 0.0
    assert metrics["recall"]["rare"] is None
    assert read_predictions(tmp_path / "predictions.csv")[1] == predictions()
    assert (tmp_path / "confusion.png").is_file()
