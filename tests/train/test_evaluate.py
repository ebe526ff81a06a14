"""A run is measured on whole videos, window by window, as the device judges them."""

import csv
import json

import numpy as np
import pytest
import torch
from train_helpers import FPS, input_spec, moving_square, tiny_recipe, write_pictures

from vedette_edge.clips import clip_tensor
from vedette_edge.errors import DataError, VideoError
from vedette_edge.preprocess import fit
from vedette_edge.video import read_frames
from vedette_train.evaluate import (
    Prediction,
    dataset_root,
    evaluate_run,
    read_predictions,
    video_clips,
    window_probabilities,
    write_report,
)
from vedette_train.runs import Sample, open_run

SPEC = input_spec()


class Brightness(torch.nn.Module):
    """Says of each clip how bright it is."""

    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(1.0))

    def forward(self, clips):
        light = self.gain * clips.mean(dim=(1, 2, 3, 4))
        return torch.stack([light, -light], dim=1)


@pytest.mark.parametrize(("pictures", "hop", "windows"), [(12, 2, 5), (12, 4, 3), (4, 1, 1), (1, 1, 1)])
def test_a_video_is_cut_into_the_windows_of_the_device(pictures, hop, windows, tmp_path):
    path = write_pictures(tmp_path / "a.mp4", moving_square("left", 0, pictures))
    found = [np.stack([item.fitted for item in clip.items]) for clip in video_clips(path, SPEC, hop)]
    assert np.shape(found) == (windows, 4, 32, 64, 3)
    frames = [fit(frame.image, SPEC) for frame in read_frames(path)]
    for index, window in enumerate(found):
        wanted = [frames[min(index * hop + step, pictures - 1)] for step in range(4)]
        assert np.array_equal(window, np.stack(wanted))


def test_every_window_has_probabilities_at_the_temperature_of_the_recipe(tmp_path):
    path = write_pictures(tmp_path / "a.mp4", moving_square("left", 0, 40))
    decision = tiny_recipe(decision__hop=1).decision
    assert decision.temperature != 1
    found = window_probabilities(Brightness(), path, SPEC, decision)
    assert found.shape == (37, 2)
    for row, clip in zip(found, video_clips(path, SPEC, 1), strict=True):
        light = clip_tensor(clip, SPEC).mean() / decision.temperature
        assert row[0] == pytest.approx(np.exp(light) / (np.exp(light) + np.exp(-light)), abs=1e-5)
    assert np.allclose(found.sum(axis=1), 1)


def test_judging_again_gives_what_the_run_reported(run_directory, data):
    done = []
    found = evaluate_run(open_run(run_directory), on_progress=lambda *pair: done.append(pair))
    stored = read_predictions(run_directory / "predictions.csv")
    assert [(one.sample, one.label) for one in found] == [(one.sample, one.label) for one in stored]
    assert [one.probability for one in found] == pytest.approx([one.probability for one in stored], abs=1e-4)
    assert done == [(number, 4) for number in range(1, 5)]
    run = open_run(run_directory)
    first = window_probabilities(
        run.network(), data / found[0].sample.name, run.recipe.data.input, run.recipe.decision
    )
    assert found[0].probability == pytest.approx(first.mean(axis=0).max())


def test_a_dataset_that_moved_is_named_by_the_caller(own_run, data, tmp_path):
    text = (own_run / "run.json").read_text().replace(str(data), str(tmp_path / "gone"))
    (own_run / "run.json").write_text(text)
    run = open_run(own_run)
    with pytest.raises(DataError, match="gone: the run's dataset is not there; say where it is with --data"):
        evaluate_run(run)
    assert dataset_root(run, data) == data
    assert len(evaluate_run(run, data)) == 4


def test_a_video_that_is_gone_is_named(run_directory, tmp_path):
    with pytest.raises(VideoError, match=r"\.mp4: no such video file"):
        evaluate_run(open_run(run_directory), tmp_path)


def predictions():
    rows = [("a", "left", "left"), ("a", "right", "left"), ("b", "left", "left")]
    return [
        Prediction(Sample(name=f"{label}/{i}.mp4", label=label, group=group), found, 0.75)
        for i, (group, label, found) in enumerate(rows)
    ]


def test_the_report_counts_what_was_right(tmp_path):
    metrics = write_report(tmp_path, ("left", "rare", "right"), predictions(), "fold 0")
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    assert metrics["split"] == "fold 0"
    assert metrics["accuracy"]["value"] == pytest.approx(2 / 3)
    assert metrics["recall"]["left"]["value"] == 1.0
    assert metrics["recall"]["right"]["value"] == 0.0
    assert metrics["recall"]["rare"] is None
    with (tmp_path / "predictions.csv").open() as file:
        assert [row["right"] for row in csv.DictReader(file)] == ["1", "0", "1"]
    assert read_predictions(tmp_path / "predictions.csv") == predictions()
    assert (tmp_path / "confusion.png").is_file()


@pytest.mark.parametrize("content", [None, "a,b\n1,2\n", "video,label,group,predicted,probability\nx,left\n"])
def test_another_table_is_refused(content, tmp_path):
    path = tmp_path / "predictions.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=r"predictions\.csv: not a table of predictions"):
        read_predictions(path)


def test_the_video_of_the_tests_has_a_picture_a_tick():
    assert SPEC.fps == FPS
