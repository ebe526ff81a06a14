import numpy as np
import pytest
import torch
from train_helpers import input_spec

from vedette_converters.calibration import calibration_clips, clip_feeds, stream_feeds
from vedette_converters.streaming import stream_graph
from vedette_converters.subjects import Judgeable, open_subject
from vedette_edge.errors import DataError
from vedette_train import quantise
from vedette_train.runs import open_run


def test_calibration_clips_have_the_shape_of_the_input(run_directory):
    clips = calibration_clips(open_subject(run_directory))
    assert {clip.shape for clip in clips} == {(1, 3, 4, 32, 64)}
    assert len(clips) > 4
    assert clip_feeds(clips)[0]["clips"] is clips[0]


def test_int8_is_calibrated_as_it_is_simulated(run_directory, data):
    simulated = quantise.calibration_clips(open_run(run_directory), data)
    converted = np.concatenate(calibration_clips(open_subject(run_directory)))
    assert np.array_equal(simulated.numpy(), converted)


def test_a_stream_is_calibrated_with_the_state_that_its_frames_meet(causal_run):
    subject, spec = open_subject(causal_run), open_run(causal_run).recipe.data.input
    graph = stream_graph(subject.network, spec)
    feeds = stream_feeds(subject, graph)
    assert [list(feed) for feed in feeds] == [graph.inputs] * len(feeds)
    assert not any(feeds[0][tensor.name].any() for tensor in graph.state), "a video begins without a past"
    item = next(subject.calibration(1))
    state = [torch.zeros(tensor.shape) for tensor in graph.state]
    with torch.no_grad():
        for index in range(7):
            _, _, *state = graph.module(torch.from_numpy(item.stream[:, :, index : index + 1]), *state)
    np.testing.assert_allclose(feeds[1]["seen"], state[-1], atol=1e-6)
    np.testing.assert_allclose(feeds[1]["features_0_conv_first"], state[0], atol=1e-4)


class Strange:
    """A subject whose training part does not fit."""

    def __init__(self, *shapes):
        self._shapes = shapes

    @property
    def description(self):
        return type("Description", (), {"input": input_spec()})

    def calibration(self, count):
        frames = np.zeros((1, 4, 32, 64, 3), np.uint8)
        return (Judgeable("a", 0, frames, np.zeros(shape, np.float32)) for shape in self._shapes[:count])


def test_calibration_data_of_another_shape_or_none_is_refused():
    with pytest.raises(DataError, match=r"is \(3, 4, 16, 16\), the network takes \(3, 4, 32, 64\)"):
        calibration_clips(Strange((1, 3, 4, 16, 16)))
    with pytest.raises(DataError, match="training part is empty"):
        calibration_clips(Strange())
