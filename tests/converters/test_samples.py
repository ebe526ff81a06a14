import numpy as np
import pytest
import torch

from vedette_converters.samples import reported_clips
from vedette_edge.errors import DataError, VideoError
from vedette_edge.preprocess import to_tensor
from vedette_train.evaluate import video_clips
from vedette_train.runs import open_run


def test_the_windows_of_every_reported_video_are_what_the_network_is_given(run_directory, data):
    run, done = open_run(run_directory), []
    found = list(reported_clips(run, None, lambda *pair: done.append(pair)))
    assert [one.sample for one in found] == list(run.info.test)
    assert done == [(number, 2) for number in (1, 2)]
    spec = run.recipe.data.input
    for one in found:
        clips = video_clips(data / one.sample.name, spec, run.recipe.decision.hop)
        assert np.array_equal(one.frames, [[item.fitted for item in clip.items] for clip in clips])
        assert len(one.tensor) == len(one.frames) == 5
        assert np.array_equal(one.tensor[1:2], to_tensor(list(one.frames[1]), spec))
    assert run.network()(torch.from_numpy(found[0].tensor)).shape == (5, 2)


def test_a_dataset_that_is_gone_or_lacks_a_video_is_an_error(run_directory, tmp_path):
    with pytest.raises(DataError, match="say where it is with --data"):
        next(reported_clips(open_run(run_directory), tmp_path / "gone"))
    with pytest.raises(VideoError, match="no such video file"):
        next(reported_clips(open_run(run_directory), tmp_path))
