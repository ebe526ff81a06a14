"""A network looks at a video through the windows of the device."""

import numpy as np
import pytest
import torch
from train_helpers import LABELS, moving_square, write_pictures

from vedette_edge.clips import ClipStream, clip_tensor
from vedette_edge.errors import UsageError, VideoError
from vedette_edge.video import read_frames
from vedette_train.explain.cam import explainer
from vedette_train.explain.view import frame_count, index_of, look


def clips_of(path, spec, hop):
    stream = ClipStream(spec, hop)
    clips = [clip for frame in read_frames(path) for clip in stream.push(frame)[0]]
    return clips + stream.finish()


@pytest.mark.parametrize("pictures", [1, 4, 40])
def test_a_view_has_the_windows_of_the_device(pictures, run, tmp_path):
    path = write_pictures(tmp_path / "a.mp4", moving_square("left", 0, pictures))
    spec, decision, network = run.recipe.data.input, run.recipe.decision, run.network()
    done = []
    view = look(network, path, spec, decision, explainer(network), lambda *pair: done.append(pair))
    clips = clips_of(path, spec, decision.hop)
    assert view.times.shape == (len(clips), spec.frames)
    assert view.maps.shape == (len(clips), 4, 1, 2)
    with torch.no_grad():
        logits, maps = network.forward_with_heatmap(
            torch.from_numpy(np.concatenate([clip_tensor(clip, spec) for clip in clips]))
        )
    wanted = torch.softmax(logits / decision.temperature, dim=1).numpy()
    assert view.probabilities == pytest.approx(wanted, abs=1e-5)
    assert view.mean == pytest.approx(wanted.mean(axis=0), abs=1e-5)
    assert view.maps == pytest.approx(maps.numpy()[np.arange(len(clips)), view.shown], abs=1e-4)
    assert view.middles == pytest.approx([clip.middle for clip in clips])
    assert (view.footage.frames, view.footage.width, view.footage.height) == (pictures, 64, 48)
    assert view.footage.fps == pytest.approx(8.0 if pictures > 1 else 25.0)
    assert done[-1] == (pictures, pictures)


@pytest.mark.parametrize(
    ("streams", "flow", "channels"),
    [("flow", {}, 2), ("rgb+flow", {}, 5), ("flow", {"magnitude": True}, 3)],
)
@pytest.mark.parametrize("method", ["heatmap", "gradcam"])
def test_a_network_that_sees_flow_can_be_looked_at(streams, flow, channels, method, new_run, data):
    run = new_run(data__input__streams=streams, data__input__flow=flow)
    network = run.network()
    assert run.recipe.data.input.channels == channels
    path = data / "left" / "left_0.mp4"
    view = look(network, path, run.recipe.data.input, run.recipe.decision, explainer(network, method))
    assert np.isfinite(view.maps).all()
    assert view.maps.any()


def test_a_video_that_cannot_be_read_is_named(run, tmp_path):
    network = run.network()
    with pytest.raises(VideoError, match=r"gone\.mp4"):
        look(network, tmp_path / "gone.mp4", run.recipe.data.input, run.recipe.decision, explainer(network))
    assert frame_count(tmp_path / "gone.mp4") == 0


def test_a_class_is_found_by_its_name():
    assert index_of(None, LABELS) is None
    assert index_of("right", LABELS) == 1
    with pytest.raises(UsageError, match="no class 'up'; this run knows: left, right"):
        index_of("up", LABELS)
