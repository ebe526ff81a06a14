"""The table of networks: every one keeps the contract, and a new one needs one line."""

import sys

import pytest
import torch
from model_helpers import seasoned
from train_helpers import input_spec

from vedette_edge.manifest import Cells, FlowSpec
from vedette_train.models import MODELS, create_for_input, create_model

FRAMES, HEIGHT, WIDTH = 8, 32, 48
SMALL = {"mobilenet_v2_3d": {"width_mult": 0.25}}


def spec_for(name):
    streams = {"streams": "rgb+flow", "flow": FlowSpec()} if name.startswith("ds3d") else {}
    return input_spec(frames=FRAMES, height=HEIGHT, width=WIDTH, **streams)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_of_the_table_gives_logits_and_class_maps(name):
    spec = spec_for(name)
    clips = torch.randn(2, spec.channels, FRAMES, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(2))
    network = seasoned(create_for_input(name, 3, spec, **SMALL.get(name, {})), clips)
    with torch.inference_mode():
        logits, heatmap = network.forward_with_heatmap(clips)
        assert torch.allclose(network(clips), logits, atol=1e-4)
    assert logits.shape == (2, 3)
    assert heatmap.shape[:2] == (2, 3)
    assert isinstance(network.heatmap_cells, Cells)
    # As many cells as their stride promises, give or take the border's.
    for cells, pixels in zip(heatmap.shape[3:], (HEIGHT, WIDTH), strict=True):
        assert cells == -(-pixels // int(network.heatmap_cells.stride))
    assert heatmap.std() > 0
    assert not logits.requires_grad


NEW_MODEL = """
from torch import nn
from vedette_edge.manifest import Cells

class Mean(nn.Module):
    heatmap_cells = Cells(stride=1.0, first=0.5)

    def __init__(self, num_classes, in_channels=3, frames=4):
        super().__init__()
        self.frames = frames
        self.head = nn.Conv3d(in_channels, num_classes, 1)

    def forward(self, x):
        return self.forward_with_heatmap(x)[0]

    def forward_with_heatmap(self, x):
        heatmap = self.head(x)
        return heatmap.mean(dim=(2, 3, 4)), heatmap
"""


def test_a_new_model_takes_one_file_and_one_line(monkeypatch, tmp_path):
    (tmp_path / "mean_of_pixels.py").write_text(NEW_MODEL)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(MODELS, "mean", ("mean_of_pixels", "Mean"))
    network = create_for_input("mean", 2, spec_for("mean"))
    logits, heatmap = network.forward_with_heatmap(torch.zeros(1, 3, FRAMES, HEIGHT, WIDTH))
    assert (logits.shape, heatmap.shape) == ((1, 2), (1, 2, FRAMES, HEIGHT, WIDTH))
    assert network.frames == FRAMES
    with pytest.raises(ValueError, match="mean takes no 'width', it takes: in_channels, frames"):
        create_model("mean", num_classes=2, width=1)
    sys.modules.pop("mean_of_pixels")


@pytest.mark.parametrize(
    ("name", "streams", "sentence"),
    [
        ("ds3d_fgattnet", "rgb", r"ds3d_fgattnet takes 5 channels, data\.input has 3 \(streams: rgb\)"),
        ("r3d_18", "rgb+flow", r"r3d_18 takes 3 channels, data\.input has 5 \(streams: rgb\+flow\)"),
    ],
)
def test_an_input_of_other_channels_is_refused(name, streams, sentence):
    spec = input_spec(frames=8, streams=streams, flow=FlowSpec() if "flow" in streams else None)
    with pytest.raises(ValueError, match=sentence):
        create_for_input(name, 2, spec)


def test_clips_of_a_length_that_a_network_cannot_take_are_refused():
    spec = input_spec(frames=12, streams="rgb+flow", flow=FlowSpec())
    with pytest.raises(ValueError, match="frames must be a multiple of 8, got 12"):
        create_for_input("ds3d_fgattnet", 2, spec)


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("mobilenet", {}, "unknown model 'mobilenet', did you mean 'mobilenet_v2_3d'"),
        ("mobilenet_v2_3d", {"width": 1.0}, "mobilenet_v2_3d takes no 'width', did you mean 'width_mult'"),
        ("mobilenet_v2_3d", {"mode": "sparse"}, "unknown mode 'sparse'"),
    ],
)
def test_an_unknown_name_or_argument_is_named(name, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        create_model(name, num_classes=2, **arguments)
