"""A run is measured on whole videos, window by window, as the device judges them."""

import json

import numpy as np
import pytest
import torch
from train_helpers import FPS, input_spec, moving_square, tiny_recipe, write_pictures

from vedette_edge.clips import clip_tensor
from vedette_edge.errors import DataError, VideoError
from vedette_edge.preprocess import fit
from vedette_edge.video import read_frames
from vedette_train.evaluate import dataset_root, evaluate_run, video_clips, window_probabilities
from vedette_train.predictions import read_predictions
from vedette_train.runs import open_run

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
    labels, stored = read_predictions(run_directory / "predictions.csv")
    assert labels == open_run(run_directory).info.labels
    assert [(one.sample, one.label) for one in found] == [(one.sample, one.label) for one in stored]
    assert [one.probabilities for one in found] == [
        pytest.approx(one.probabilities, abs=1e-6) for one in stored
    ]
    assert done == [(1, 2), (2, 2)]
    run = open_run(run_directory)
    first = window_probabilities(
        run.network(), data / found[0].sample.name, run.recipe.data.input, run.decision
    )
    assert found[0].probabilities == pytest.approx(first.mean(axis=0))
    assert found[0].probability == max(found[0].probabilities)


def test_a_dataset_that_moved_is_named_by_the_caller(own_run, data, tmp_path):
    text = (own_run / "run.json").read_text().replace(str(data), str(tmp_path / "gone"))
    (own_run / "run.json").write_text(text)
    run = open_run(own_run)
    with pytest.raises(DataError, match="gone: the run's dataset is not there; say where it is with --data"):
        evaluate_run(run)
    assert dataset_root(run, data) == data
    assert len(evaluate_run(run, data)) == 2


def test_a_video_that_is_gone_is_named(run_directory, tmp_path):
    with pytest.raises(VideoError, match=r"\.mp4: no such video file"):
        evaluate_run(open_run(run_directory), tmp_path)


def test_every_part_can_be_judged_and_an_empty_one_is_an_error(own_run, data):
    run = open_run(own_run)
    for part in ("train", "val", "test"):
        found = evaluate_run(run, data, part=part)
        assert [one.sample for one in found] == list(run.info.part(part))
    values = json.loads((own_run / "run.json").read_text()) | {"val": []}
    (own_run / "run.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match="has no val part"):
        evaluate_run(open_run(own_run), data, part="val")


def test_the_video_of_the_tests_has_a_picture_a_tick():
    assert SPEC.fps == FPS
