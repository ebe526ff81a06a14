"""A network's own heatmap and two gradient methods, at any layer of 3D and 2D networks."""

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import pytest
import torch
from pytorch_grad_cam import GradCAM, HiResCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from vedette_edge.errors import UsageError
from vedette_edge.manifest import Cells
from vedette_train.explain.cam import cells_of, explainer, last_layer, no_maps

EARLIER = "features.9"


@pytest.fixture(scope="module")
def clips():
    return torch.randn(2, 3, 4, 64, 96, generator=torch.Generator().manual_seed(5))


class FrameByFrame(nn.Module):
    """A 2D network that sees each frame by itself and takes the mean of their scores."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 5, 3, padding=1)
        self.linear = nn.Linear(5, 2)

    def forward(self, clips):
        n, _, t, _, _ = clips.shape
        features = self.convolution(clips.transpose(1, 2).flatten(0, 1))
        return self.linear(features.mean(dim=(2, 3))).view(n, t, -1).mean(dim=1)


@pytest.mark.parametrize("method", ["gradcam", "hirescam"])
@pytest.mark.parametrize("label", [None, 2])
def test_at_the_last_convolution_gradients_give_the_networks_own_heatmap(method, label, network, clips):
    own = explainer(network, "heatmap", label=label)(clips)
    found = explainer(network, method, label=label)(clips)
    assert torch.equal(found.shown, own.shown)
    assert torch.allclose(found.logits, own.logits, atol=1e-5)
    places = own.maps[0].numel()
    assert own.maps.std() > 0.01
    assert torch.allclose(found.maps * places, own.maps, atol=1e-4)


def test_the_label_that_is_shown_is_the_predicted_one_or_the_one_asked_for(network, clips):
    with torch.no_grad():
        best = network(clips).argmax(dim=1)
    assert torch.equal(explainer(network)(clips).shown, best)
    assert explainer(network, "gradcam", label=1)(clips).shown.tolist() == [1, 1]


def test_at_an_earlier_layer_the_two_methods_differ_and_the_map_is_finer(network, clips):
    grad = explainer(network, "gradcam", layer=EARLIER)(clips).maps
    hires = explainer(network, "hirescam", layer=EARLIER)(clips).maps
    assert grad.shape == hires.shape == (2, 4, 4, 6)
    assert (grad - hires).abs().max() > 0.1 * hires.abs().max()


@pytest.mark.parametrize(("method", "reference"), [("gradcam", GradCAM), ("hirescam", HiResCAM)])
def test_both_methods_are_those_of_the_reference_package(method, reference, network, clips):
    found = explainer(network, method, layer=EARLIER, label=1)(clips[:1]).maps
    layer = network.get_submodule(EARLIER)
    targets = [ClassifierOutputTarget(1)]
    with reference(model=network, target_layers=[layer]) as cam:
        cam(input_tensor=clips[:1], targets=targets)
        kept = cam.activations_and_grads
        wanted = cam.get_cam_image(
            clips[:1],
            layer,
            targets,
            kept.activations[0].numpy(),
            kept.gradients[0].numpy(),
            eigen_smooth=False,
        )
    network.zero_grad()
    assert torch.allclose(found, torch.as_tensor(wanted), atol=1e-6)


def test_a_clip_is_explained_alike_alone_and_in_a_batch(network, clips):
    show = explainer(network, "hirescam", layer=EARLIER)
    # Not closer: what lies at the corner of a ReLU6 may fall to either side.
    assert torch.allclose(show(clips).maps[1:], show(clips[1:]).maps, atol=0.01)


def test_a_layer_whose_next_works_in_place_keeps_its_own_values(clips):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv3d(3, 4, 3), nn.ReLU(inplace=True), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    found = explainer(network, "gradcam", layer="0", label=1)(clips).maps
    features = network[0](clips).detach()
    weight = network[4].weight[1] * (features > 0).float().mean(dim=(2, 3, 4)) / features[0, 0].numel()
    assert features.min() < 0
    assert torch.allclose(found, torch.einsum("nc,ncthw->nthw", weight, features), atol=1e-6)


def test_frozen_weights_are_explained_and_no_gradient_stays_behind(network, clips):
    network.requires_grad_(False)
    try:
        frozen = explainer(network, "gradcam", layer=EARLIER)(clips).maps
    finally:
        network.requires_grad_(True)
    assert torch.allclose(frozen, explainer(network, "gradcam", layer=EARLIER)(clips).maps)
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_network_that_sees_frame_by_frame_has_a_layer_of_time_for_each(clips):
    torch.manual_seed(0)
    network = FrameByFrame().eval()
    found = explainer(network, "hirescam", label=1)(clips).maps
    features = network.convolution(clips.transpose(1, 2).flatten(0, 1)).view(2, 4, 5, 64, 96)
    wanted = torch.einsum("c,ntchw->nthw", network.linear.weight[1], features) / (4 * 64 * 96)
    assert torch.allclose(found, wanted, atol=1e-6)


def test_the_last_layer_is_the_last_with_places(network, clips):
    assert last_layer(network, clips) == "features"
    pooled = nn.Sequential(
        nn.Conv3d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    assert last_layer(pooled, clips) == "1"


def test_a_network_without_places_is_refused(clips):
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 64 * 96, 2))
    with pytest.raises(UsageError, match="Sequential has no layer with a map of places"):
        explainer(flat, "gradcam")(clips)
    with pytest.raises(UsageError, match="Sequential has no heatmap of its own; use --method gradcam"):
        explainer(flat)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"method": "heatmap", "layer": EARLIER}, "--layer goes with --method gradcam or hirescam"),
        ({"method": "scorecam"}, "no method 'scorecam', expected one of: heatmap, gradcam, hirescam"),
        ({"method": "gradcam", "layer": "feature.9"}, "no layer 'feature.9'; near it: .*features.9"),
        ({"method": "gradcam", "layer": "zzz"}, "no layer 'zzz'; near it: features, classifier"),
    ],
)
def test_what_cannot_be_explained_is_one_sentence(arguments, sentence, network):
    with pytest.raises(UsageError, match=sentence):
        explainer(network, **arguments)


def test_a_layer_without_places_is_refused(network, clips):
    with pytest.raises(UsageError, match=r"'classifier\.linear' is no map of places"):
        explainer(network, "gradcam", layer="classifier.linear")(clips)


def test_without_maps_the_logits_are_the_same(network, clips):
    found = no_maps(network)(clips)
    assert torch.allclose(found.logits, explainer(network)(clips).logits, atol=1e-5)
    assert found.maps.shape == (2, 1, 1, 1)
    assert not found.maps.any()


@pytest.mark.parametrize(("cells", "stride"), [(3, 32), (4, 32), (6, 16), (12, 8), (48, 2), (96, 1)])
def test_cells_of_earlier_layers_begin_at_the_first_pixel_as_those_of_the_last(cells, stride, network):
    assert cells_of(network, 96, cells) == Cells(stride=stride, first=0.5)


def test_cells_of_a_network_that_pools_lie_in_the_middle_of_their_pixels():
    network = nn.Identity()
    assert cells_of(network, 64, 8) is None
    network.heatmap_cells = Cells(stride=8, first=4)
    assert cells_of(network, 64, 16) == Cells(stride=4, first=2)
