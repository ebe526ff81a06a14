"""DS3D-FGAttNet and its baseline: published sizes, their blocks, and a map that is HiResCAM."""

import numpy as np
import pytest
import torch
from model_helpers import all_paths_count, hires_cam, looks_at, seasoned
from pytorch_grad_cam import HiResCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vedette_train.models import create_model
from vedette_train.models.dual_stream import Ds3dBaseline, Ds3dFgAttNet
from vedette_train.models.dual_stream_head import MergeHead
from vedette_train.models.dual_stream_layers import (
    FUSIONS,
    Cbam3d,
    FlowGatedFusion,
    SqueezeExcite,
    make_fusion,
)

NETWORKS = {
    "fgattnet": lambda: Ds3dFgAttNet(num_classes=3),
    **{fusion: lambda fusion=fusion: Ds3dBaseline(num_classes=3, fusion=fusion) for fusion in FUSIONS},
}


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def clips(n=2, frames=8, height=32, width=48):
    return torch.randn(n, 5, frames, height, width, generator=torch.Generator().manual_seed(4))


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    torch.manual_seed(0)
    return seasoned(NETWORKS[request.param](), clips(4)).double()


@pytest.mark.parametrize(
    ("name", "arguments", "count"),
    [
        ("ds3d_fgattnet", {"hidden": 64}, 264_792),
        ("ds3d_fgattnet", {"hidden": 128, "dropout": 0.3}, 275_096),
        ("ds3d_baseline", {"fusion": "fgf"}, 285_234),
        ("ds3d_baseline", {"fusion": "multiply"}, 285_234),
        ("ds3d_baseline", {"fusion": "concat"}, 287_314),
        ("ds3d_baseline", {"fusion": "gated"}, 287_314),
    ],
)
def test_they_have_the_parameters_of_the_published_networks(name, arguments, count):
    assert parameters(create_model(name, num_classes=2, **arguments)) == count


@pytest.mark.parametrize(("kind", "gigamacs"), [(Ds3dFgAttNet, 34.686), (Ds3dBaseline, 23.686)])
def test_they_do_the_work_of_the_published_networks(kind, gigamacs):
    with torch.device("meta"):
        network, clip = kind().eval(), torch.empty(1, 5, 32, 224, 224)
    with FlopCounterMode(display=False) as counter:
        network(clip)
    assert counter.get_total_flops() / 2e9 == pytest.approx(gigamacs, abs=1e-3)


def test_the_heatmap_costs_almost_nothing():
    with torch.device("meta"):
        head, fused = MergeHead(2, 64, 0.0, attention=True).eval(), torch.empty(1, 32, 4, 28, 28)
        counts = []
        for function in (head, head.forward_with_heatmap):
            with FlopCounterMode(display=False) as counter:
                function(fused)
            counts.append(counter.get_total_flops() / 2e9)
    assert counts[1] - counts[0] < 1e-3 * 34.686


# Channels, frames, side after each layer of a stream, for 32 x 224 x 224.
FGATTNET_SHAPES = [
    *[(16, 32, 224)] * 2,
    (16, 32, 112),
    *[(32, 32, 112)] * 2,
    *[(32, 32, 56)] * 4,
    (32, 32, 28),
]
BASELINE_SHAPES = [
    *[(16, 32, 224)] * 2,
    *[(16, 32, 112)] * 3,
    (16, 32, 56),
    *[(32, 32, 56)] * 2,
    *[(32, 32, 28)] * 3,
    (32, 32, 14),
]


@pytest.mark.parametrize(
    ("kind", "shapes"), [(Ds3dFgAttNet, FGATTNET_SHAPES), (Ds3dBaseline, BASELINE_SHAPES)]
)
def test_every_stage_has_the_shape_of_the_published_network(kind, shapes):
    with torch.device("meta"):
        network, clip = kind(), torch.empty(1, 5, 32, 224, 224)
    for stream, x in ((network.rgb, clip[:, :3]), (network.flow, clip[:, 3:])):
        found = []
        for layer in stream:
            x = layer(x)
            found.append((x.shape[1], x.shape[2], x.shape[3]))
            assert x.shape[3] == x.shape[4]
        assert found == shapes
    side = shapes[-1][2]
    with torch.device("meta"):
        assert network._fused(clip).shape == (1, 32, 4, side, side)
        assert network(clip).shape == (1, 2)


@pytest.mark.parametrize("shape", [(8, 32, 32), (16, 40, 56), (24, 18, 50)])
def test_any_multiple_of_8_frames_and_any_size_will_do(shape):
    frames, height, width = shape
    for network, cell in ((Ds3dFgAttNet(), 8), (Ds3dBaseline(), 16)):
        logits, heatmap = network.eval().forward_with_heatmap(clips(1, *shape))
        assert logits.shape == (1, 2)
        assert heatmap.shape == (1, 2, frames // 8, height // cell, width // cell)


@pytest.mark.parametrize("shape", [(1, 5, 12, 32, 32), (1, 3, 8, 32, 32)])
def test_other_clips_are_refused(shape):
    with pytest.raises(ValueError, match=r"expected clips of 5 channels and a multiple of 8 frames, got \(1"):
        Ds3dFgAttNet()(torch.zeros(shape))


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("ds3d_fgattnet", {"frames": 12}, "frames must be a multiple of 8, got 12"),
        ("ds3d_baseline", {"frames": 0}, "frames must be a multiple of 8, got 0"),
        (
            "ds3d_baseline",
            {"fusion": "sum"},
            "unknown fusion 'sum', expected one of: multiply, concat, gated",
        ),
    ],
)
def test_what_cannot_be_built_is_an_error(name, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        create_model(name, **arguments)


def test_picture_and_flow_have_a_stream_each():
    network, clip = Ds3dFgAttNet().eval(), clips(1)
    seen = {}
    for name, stream in (("rgb", network.rgb), ("flow", network.flow)):
        stream.register_forward_pre_hook(lambda _, args, name=name: seen.__setitem__(name, args[0]))
    network(clip)
    assert torch.equal(seen["rgb"], clip[:, :3])
    assert torch.equal(seen["flow"], clip[:, 3:])


def test_the_gate_of_the_proposed_network_never_falls_below_one_half():
    network = Ds3dFgAttNet().eval()
    gate = network.fusion.gate(network.flow(clips(2)[:, 3:])).detach()
    assert 0.5 <= float(gate.min()) < float(gate.max()) <= 1.0


def test_the_gate_of_the_baseline_is_a_sigmoid_of_a_sigmoid():
    network = Ds3dBaseline().eval()
    gate = network.fusion.gate(network.flow(clips(2)[:, 3:])).detach()
    assert 0.5 < float(gate.min()) < float(gate.max()) < 0.7311


def test_the_gated_fusion_keeps_the_maximum_of_each_8_frames():
    rgb, flow = torch.randn(1, 2, 16, 3, 3), torch.randn(1, 2, 16, 3, 3)
    product = rgb * flow.sigmoid()
    wanted = torch.stack([product[:, :, :8].amax(dim=2), product[:, :, 8:].amax(dim=2)], dim=2)
    assert torch.equal(FlowGatedFusion()(rgb, flow), wanted)


def test_the_other_fusions_are_their_formulas():
    rgb, flow = torch.randn(1, 4, 2, 3, 3), torch.randn(1, 4, 2, 3, 3)
    both = torch.cat([rgb, flow], dim=1)
    assert torch.equal(make_fusion("multiply", 4)(rgb, flow), rgb * flow)
    concat, gated = make_fusion("concat", 4), make_fusion("gated", 4)
    assert torch.equal(concat(rgb, flow), concat.mix(both))
    gate = gated.mix(both).sigmoid()
    assert torch.allclose(gated(rgb, flow), (1 - gate) * rgb + gate * flow)


def test_cbam_weighs_channels_first_then_places_by_mean_and_maximum():
    block, x = Cbam3d(32), torch.randn(2, 32, 3, 9, 9)
    mean = x.mean(dim=(2, 3, 4), keepdim=True)
    weighed = x * block.channel.excite(block.channel.squeeze(mean).relu()).sigmoid()
    seen = torch.stack([weighed.mean(dim=1), weighed.max(dim=1).values], dim=1)
    wanted = (
        weighed * nn.functional.conv3d(seen, block.spatial.weight, block.spatial.bias, padding=3).sigmoid()
    )
    assert torch.allclose(block(x), wanted, atol=1e-6)
    assert block.channel.squeeze.out_channels == 2
    assert block.spatial.kernel_size == (7, 7, 7)


def test_squeeze_and_excite_is_its_formula():
    block, x = SqueezeExcite(64), torch.randn(2, 64, 1, 3, 3)
    weights = block.excite(block.squeeze(x.mean(dim=(2, 3, 4))).relu()).sigmoid()
    assert torch.allclose(block(x), x * weights[:, :, None, None, None])
    assert block.squeeze.out_features == 4


def test_the_grid_is_adaptive_pooling():
    head = MergeHead(2, 64, 0.0, attention=True).eval()
    for height, width in ((28, 28), (14, 7), (2, 5), (1, 3)):
        seen = head._run(torch.randn(1, 32, 2, height, width))
        wanted = nn.functional.adaptive_avg_pool3d(seen.fine, (1, 3, 3))
        assert torch.allclose(seen.grid, wanted, atol=1e-6)


def test_the_map_is_hires_cam_as_computed_with_gradients(network):
    head, fused = network.head, network._fused(clips().double())
    seen = head._run(fused)
    wanted = hires_cam(seen.logits, seen.fine) / 9
    _, found = head.forward_with_heatmap(fused, slack=1e-12)
    assert wanted.abs().max() > 0.1
    assert torch.allclose(found, wanted, atol=1e-9)


def test_its_coarse_part_is_hires_cam_on_the_last_convolution(network):
    seen = network.head._run(network._fused(clips().double()))
    wanted = hires_cam(seen.logits, seen.coarse) / 9
    found = (network.head._to_coarse(seen, 1e-12) * seen.coarse[:, None]).sum(dim=2)
    assert wanted.abs().max() > 0.1
    assert torch.allclose(found, wanted, atol=1e-9)


def test_the_ramps_change_the_map_little(network):
    fused = network._fused(clips().double())
    _, exact = network.head.forward_with_heatmap(fused, slack=1e-12)
    _, found = network.head.forward_with_heatmap(fused)
    alike = torch.cosine_similarity(found.flatten(2), exact.flatten(2), dim=2)
    assert alike.min() > 0.95


def test_the_map_is_hires_cam_of_the_reference_package():
    torch.manual_seed(0)
    network, clip = seasoned(Ds3dFgAttNet(num_classes=3), clips(4)), clips(1)
    # Sixteen frames, because the package enlarges maps along time, too.
    clip = torch.cat([clip, clip.flip(2)], dim=2)
    with HiResCAM(model=network, target_layers=[network.head.first]) as cam:
        cam(input_tensor=clip, targets=[ClassifierOutputTarget(1)])
        gradients, features = cam.activations_and_grads.gradients[0], cam.activations_and_grads.activations[0]
        wanted = cam.get_cam_image(clip, network.head.first, None, features.numpy(), gradients.numpy(), False)
    with torch.inference_mode():
        _, found = network.head.forward_with_heatmap(network._fused(clip), slack=1e-9)
    assert np.abs(wanted).max() > 0
    assert np.abs(9 * found[:, 1].numpy() / found[0, 0].numel() - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_logits_with_and_without_the_map_are_the_same(network):
    clip = clips().double()
    logits, _ = network.forward_with_heatmap(clip)
    assert torch.allclose(logits, network(clip), atol=1e-12)


def test_training_and_judging_compute_the_same_function(network):
    clip = clips().double()
    expected = network(clip)
    network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d | nn.Dropout):
            module.eval()
    found = network(clip)
    network.eval()
    assert torch.allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("kind", [Ds3dFgAttNet, Ds3dBaseline])
def test_a_cell_of_the_heatmap_speaks_of_the_pixels_that_it_says(kind):
    network = all_paths_count(kind(num_classes=1, frames=8))
    for module in network.modules():
        if isinstance(module, Cbam3d):
            module.forward = lambda x: x
    cells = network.heatmap_cells

    def fine(clip):
        return network.head.first(network._fused(clip))

    row, column = 6, 5
    x, y = looks_at(fine, torch.ones(1, 5, 8, 13 * int(cells.stride), 11 * int(cells.stride)), row, column)
    assert x == pytest.approx(cells.first + column * cells.stride, abs=0.05)
    assert y == pytest.approx(cells.first + row * cells.stride, abs=0.05)


def test_the_map_lights_up_where_the_picture_differs():
    torch.manual_seed(0)
    network = seasoned(Ds3dFgAttNet(), clips(4, height=96, width=96))
    with torch.inference_mode():
        fused = network._fused(torch.zeros(1, 5, 8, 96, 96))
        other = torch.zeros(1, 5, 8, 96, 96)
        other[..., 64:80, 16:32] = 3 * torch.randn(16, 16)
        change = (network._fused(other) - fused).abs().sum(dim=(0, 1, 2))
        heat = (network.forward_with_heatmap(other)[1] - network.forward_with_heatmap(other * 0)[1]).abs()
    for place in (change, heat.sum(dim=(0, 1, 2))):
        row, column = divmod(int(place.argmax()), 12)
        assert 7 <= row <= 10
        assert 1 <= column <= 4
