"""Tables of predictions."""

import csv
import json

import numpy as np
import pytest
from rich.console import Console

from vedette_train.explain.predictions import predict_view, prediction_table, write_predictions
from vedette_train.explain.subjects import Subject
from vedette_train.explain.view import Footage, View

LABELS = ("squat", "wave", "rest")


def prediction(name, truth, probabilities):
    count = len(probabilities)
    times = np.arange(count)[:, np.newaxis] + np.arange(4) / 4
    rows = np.array(probabilities, np.float32)
    view = View(Footage(), times, rows, rows.argmax(axis=1), np.zeros((count, 1, 1, 1), np.float32), None)
    return predict_view(Subject(name, name, name, truth, name), view, LABELS)


@pytest.fixture
def predictions():
    return [
        prediction("a.mp4", "squat", [(0.6, 0.3, 0.1), (0.1, 0.8, 0.1)]),
        prediction("b.mp4", "wave", [(0.2, 0.5, 0.3)]),
        prediction("c.mp4", None, [(0.0, 0.0, 1.0)]),
    ]


def test_a_videos_label_is_that_of_the_mean_over_its_windows(predictions):
    first, second, third = predictions
    assert (first.label, first.right) == ("wave", False)
    assert first.probability == pytest.approx(0.55)
    assert [row[2] for row in first.windows] == ["squat", "wave"]
    assert (second.right, third.right) == (True, None)


def test_there_is_a_row_for_each_window_and_each_video(predictions, tmp_path):
    write_predictions(tmp_path, LABELS, predictions)
    with (tmp_path / "windows.csv").open() as file:
        windows = list(csv.DictReader(file))
    assert [row["video"] for row in windows] == ["a.mp4", "a.mp4", "b.mp4", "c.mp4"]
    assert windows[1] == {
        "video": "a.mp4",
        "window": "1",
        "start": "1.000",
        "end": "1.750",
        "label": "wave",
        "p_squat": "0.1000",
        "p_wave": "0.8000",
        "p_rest": "0.1000",
    }
    with (tmp_path / "videos.csv").open() as file:
        videos = list(csv.DictReader(file))
    assert [(row["true"], row["predicted"], row["right"]) for row in videos] == [
        ("squat", "wave", "0"),
        ("wave", "wave", "1"),
        ("", "rest", ""),
    ]


def test_the_summary_counts_what_is_known(predictions, tmp_path):
    write_predictions(tmp_path, LABELS, predictions)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["predicted"] == {"squat": 0, "wave": 2, "rest": 1}
    assert (summary["videos"], summary["windows"]) == (3, 4)
    assert summary["accuracy"]["value"] == 0.5
    assert summary["accuracy"]["samples"] == 2
    write_predictions(tmp_path, LABELS, predictions[2:])
    assert json.loads((tmp_path / "summary.json").read_text())["accuracy"] is None


def test_the_table_names_every_video(predictions):
    console = Console(width=100, record=True)
    console.print(prediction_table(predictions))
    text = console.export_text()
    assert all(name in text for name in ("a.mp4", "b.mp4", "c.mp4", "accuracy 0.500"))
