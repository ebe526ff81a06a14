"""Sizes of the paper, shapes of each stage, and what each mode may see."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from vedette_train.models.mobilenet_v2_3d import MODES, PADDINGS, SAME_FEATURE, TIME_POOLINGS, MobileNetV2_3d

STAGE_ENDS = {"stem": 0, "b1": 1, "b2": 3, "b3": 6, "b4": 10, "b5": 13, "b6": 16, "b7": 17, "final": 18}
# The table of the original network for 16 x 128 x 128: channels, T, H = W.
STANDARD = {
    "stem": (32, 16, 64),
    "b1": (16, 16, 64),
    "b2": (24, 8, 32),
    "b3": (32, 4, 16),
    "b4": (64, 2, 8),
    "b5": (96, 2, 8),
    "b6": (160, 1, 4),
    "b7": (320, 1, 4),
    "final": (1280, 1, 4),
}
# Parameters of each stage at full width, and of the linear layer for 17 classes.
STAGE_PARAMETERS = {
    "stem": 2_656,
    "b1": 1_472,
    "b2": 18_288,
    "b3": 49_200,
    "b4": 208_064,
    "b5": 330_816,
    "b6": 840_192,
    "b7": 491_200,
    "final": 412_160,
}


def small_network(mode, classes=3, **arguments):
    torch.manual_seed(0)
    network = MobileNetV2_3d(classes, width_mult=0.25, mode=mode, dropout=0.5, **arguments)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):  # statistics that are not those of a new layer
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)  # some begin at zero
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    torch.nn.init.normal_(network.head.bias)
    return network.eval()


@pytest.mark.parametrize(
    ("classes", "width", "parameters"),
    [(17, 1.0, 2_375_825), (16, 1.0, 2_374_544), (600, 1.0, 3_122_648), (600, 0.45, 1_399_834)],
)
def test_it_has_the_parameters_of_the_paper(classes, width, parameters):
    network = MobileNetV2_3d(classes, width_mult=width)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


@pytest.mark.parametrize(
    ("mode", "gigamacs"), [("standard", 0.669), ("high_temporal", 1.894), ("causal", 1.894)]
)
def test_it_does_the_work_that_its_mode_promises(mode, gigamacs):
    with torch.device("meta"):
        network, clip = MobileNetV2_3d(17, mode=mode).eval(), torch.empty(1, 3, 16, 128, 128)
    with FlopCounterMode(display=False) as counter:
        network(clip)
    assert counter.get_total_flops() / 2e9 == pytest.approx(gigamacs, abs=5e-4)


@pytest.mark.parametrize("mode", MODES)
def test_every_stage_has_the_shape_of_the_original_table(mode):
    with torch.device("meta"):
        network, x = MobileNetV2_3d(17, mode=mode), torch.empty(1, 3, 16, 128, 128)
    shapes = []
    for layer in network.features:
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    found = {stage: shapes[index] for stage, index in STAGE_ENDS.items()}
    assert found == {
        stage: (c, t if mode == "standard" else 16, side, side) for stage, (c, t, side) in STANDARD.items()
    }
    assert len(shapes) == 19


@pytest.mark.parametrize("mode", MODES)
def test_every_stage_has_the_parameters_of_the_original_table(mode):
    with torch.device("meta"):
        network = MobileNetV2_3d(17, mode=mode)
    counts = [sum(p.numel() for p in layer.parameters()) for layer in network.features]
    found, start = {}, 0
    for stage, end in STAGE_ENDS.items():
        found[stage], start = sum(counts[start : end + 1]), end + 1
    assert found == STAGE_PARAMETERS
    assert sum(p.numel() for p in network.head.parameters()) == 21_777
    assert sum(STAGE_PARAMETERS.values()) == 2_354_048


@pytest.mark.parametrize("shape", [(1, 32, 32), (5, 50, 75), (16, 40, 33)])
def test_any_length_and_size_will_do(shape):
    network = small_network("standard")
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, *shape)).shape == (1, 3)


@pytest.mark.parametrize("last", [(0.45, 1280), (2.0, 2560)])
def test_the_last_layer_grows_with_the_width_but_never_shrinks(last):
    width, channels = last
    assert MobileNetV2_3d(2, width_mult=width).head.in_features == channels


@pytest.mark.parametrize("changed", range(6))
def test_a_causal_network_never_sees_its_future(changed):
    network, clip = small_network("causal"), torch.randn(1, 3, 6, 32, 32)
    other = clip.clone()
    other[:, :, changed] += 1.0
    with torch.inference_mode():
        before, after = network.features(clip), network.features(other)
    assert torch.equal(before[:, :, :changed], after[:, :, :changed])
    assert not torch.equal(before[:, :, changed], after[:, :, changed])


@pytest.mark.parametrize("mode", ["standard", "high_temporal"])
def test_other_networks_see_it(mode):
    network, clip = small_network(mode), torch.randn(1, 3, 6, 32, 32)
    other = clip.clone()
    other[:, :, 1] += 1.0
    with torch.inference_mode():
        assert not torch.equal(network.features(clip)[:, :, 0], network.features(other)[:, :, 0])


@pytest.mark.parametrize("frames", [1, 2, 5])
@pytest.mark.parametrize("pooling", TIME_POOLINGS)
@pytest.mark.parametrize("mode", MODES)
def test_the_class_maps_sum_up_to_the_logits_of_forward(mode, pooling, frames):
    network, clips = small_network(mode, time_pooling=pooling), torch.randn(2, 3, frames, 32, 64)
    with torch.inference_mode():
        logits, heatmap = network.forward_with_heatmap(clips)
        assert torch.allclose(logits, network(clips), atol=1e-5)
    # Frames that are almost the largest share the map, but not the maximum.
    slack = SAME_FEATURE * network.head.weight.abs().sum().item() if pooling == "max" else 1e-6
    assert torch.allclose(heatmap.mean(dim=(2, 3, 4)) + network.head.bias, logits, atol=slack)
    assert heatmap.shape == (2, 3, 1 if mode == "standard" else frames, 1, 2)


def test_one_frame_is_enough_where_the_largest_counts():
    network = small_network("high_temporal", time_pooling="max")
    features = torch.zeros(1, 2, 4, 1, 1)
    features[0, 0, 2] = 3.0
    assert network.pooled(features).tolist() == [[3.0, 0.0]]
    clips = torch.randn(1, 3, 5, 32, 32)
    with torch.inference_mode():
        held = network(torch.cat([clips, clips[:, :, -1:].expand(-1, -1, 3, -1, -1)], dim=2))
        maps = network.forward_with_heatmap(clips)[1]
    assert held.shape == (1, 3)
    assert maps.abs().sum(dim=(0, 1, 3, 4)).gt(0).sum() > 1  # each channel has its own frame


def test_training_and_judging_compute_the_same_function():
    network, clips = small_network("standard"), torch.randn(2, 3, 4, 32, 32)
    with torch.inference_mode():
        expected = network.features(clips)
    network.train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.eval()
    assert torch.allclose(network.features(clips), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"mode": "hightemporal"}, "unknown mode 'hightemporal', expected one of: standard, high_temporal"),
        ({"num_classes": 0}, "num_classes must be >= 1"),
        ({"padding": "same"}, "unknown padding 'same', expected one of: symmetric, end"),
        ({"time_pooling": "sum"}, "unknown time_pooling 'sum', expected one of: mean, max"),
        ({"dropout": 1.5}, "dropout must be in 0..1, got 1.5"),
        ({"width_mult": 0.05}, "width_mult >= 1/16, got 2, 0.05"),
    ],
)
def test_what_cannot_be_built_is_an_error(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        MobileNetV2_3d(**{"num_classes": 2, **arguments})


@pytest.mark.parametrize("padding", PADDINGS)
def test_a_cell_of_the_heatmap_speaks_of_the_pixels_that_it_says(padding):
    network = MobileNetV2_3d(num_classes=2, width_mult=0.25, padding=padding).eval()
    for module in network.modules():
        # All paths of the same sign and no nonlinearity: what remains is where a cell looks.
        if isinstance(module, torch.nn.Conv3d):
            module.weight.data.abs_()
        elif isinstance(module, torch.nn.BatchNorm3d):
            module.weight.data.fill_(1.0)
        elif isinstance(module, torch.nn.ReLU6):
            module.forward = lambda x: x
    clip = torch.zeros(1, 3, 2, 352, 352, requires_grad=True)
    cell = network.features(clip)[0, :, :, 5, 5].sum()
    weight = torch.autograd.grad(cell, clip)[0].double().sum(dim=(0, 1, 2))
    pixels = torch.arange(352) + 0.5
    looks_at = float((weight.sum(dim=0) * pixels).sum() / weight.sum())
    cells = network.heatmap_cells
    # The border of the picture cuts the field of view a little.
    assert looks_at == pytest.approx(cells.first + 5 * cells.stride, abs=3.0)
