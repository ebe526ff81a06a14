import numpy as np
import pytest
import torch

from vedette_converters.samples import read_samples
from vedette_converters.subjects import open_subject
from vedette_edge.errors import DataError, VideoError
from vedette_edge.preprocess import to_tensor
from vedette_train.evaluate import video_clips
from vedette_train.runs import open_run


def test_the_windows_of_every_reported_video_are_what_the_network_is_given(run_directory, data):
    run, subject = open_run(run_directory), open_subject(run_directory)
    found = list(subject.judgeables())
    assert [one.name for one in found] == [sample.name for sample in run.info.test]
    assert len(found) == subject.reported == 2
    spec = run.recipe.data.input
    for one in found:
        clips = video_clips(data / one.name, spec, run.recipe.decision.hop)
        assert np.array_equal(one.frames, [[item.fitted for item in clip.items] for clip in clips])
        assert len(one.tensor) == len(one.frames) == 5
        assert np.array_equal(one.tensor[1:2], to_tensor(list(one.frames[1]), spec))
        assert one.stream is None
    assert subject.network(torch.from_numpy(found[0].tensor)).shape == (5, 2)


def test_a_causal_run_also_has_the_frames_of_its_videos_in_order(causal_run):
    for one in open_subject(causal_run).judgeables():
        hop, frames = 2, one.tensor.shape[2]
        assert one.stream.shape == (1, 3, 12, 32, 64)
        for index, clip in enumerate(one.tensor):
            assert np.array_equal(one.stream[0, :, index * hop : index * hop + frames], clip)


def test_calibration_is_of_videos_that_were_trained_on(run_directory):
    run = open_run(run_directory)
    names = [one.name for one in open_subject(run_directory).calibration(3)]
    assert len(names) == 3
    assert set(names) <= {sample.name for sample in run.info.train}


def test_a_dataset_that_is_gone_or_lacks_a_video_is_an_error(run_directory, tmp_path):
    with pytest.raises(DataError, match="say where it is with --data"):
        open_subject(run_directory, tmp_path / "gone")
    with pytest.raises(VideoError, match="no such video file"):
        next(open_subject(run_directory, tmp_path).judgeables())


def test_the_samples_of_a_proof_are_judged_once_and_read_many_times(causal_run):
    subject = open_subject(causal_run)
    with read_samples(subject, 2) as samples:
        assert [seen.tensor.shape for seen in samples.clips] == [(5, 3, 4, 32, 64)] * 2
        assert [seen.reference.logits.shape for seen in samples.streams] == [(12, 2)] * 2
        first = samples.streams[0]
        # The first full window of the stream is the first clip.
        np.testing.assert_allclose(
            first.reference.logits[first.judged][0], samples.clips[0].reference.logits[0], atol=1e-4
        )
        assert len(first.reference.logits[first.judged]) == 5
        assert samples.golden.frames.shape == (2, 4, 32, 64, 3)
        folder = first.path.parent
    assert not folder.exists()
