"""The layer that int8 harms most comes first, and measuring changes nothing."""

import pytest
import torch
from model_helpers import seasoned

from vedette_train.fake_quant import quantisable
from vedette_train.models import create_model
from vedette_train.sensitivity import movement, sensitivity


def clips(count, channels=3):
    return torch.randn(count, channels, 8, 16, 16, generator=torch.Generator().manual_seed(count))


def network():
    torch.manual_seed(0)
    return seasoned(create_model("3d", num_classes=3), clips(4))


def test_movement_is_relative_to_what_there_was():
    reference = torch.tensor([1.0, -3.0])
    assert movement(reference, reference) == 0.0
    assert movement(torch.tensor([2.0, -3.0]), reference) == pytest.approx(0.25)
    assert movement(torch.zeros(2), torch.zeros(2)) == 0.0


@pytest.mark.parametrize("spoilt", ["features.4", "features.8"])
def test_a_layer_whose_weights_int8_cannot_tell_apart_comes_first(spoilt):
    measured, given = network(), clips(2)
    names = [name for name, _ in measured.named_modules()]
    norm = measured.get_submodule(names[names.index(spoilt) - 3])
    with torch.no_grad():
        # A channel that is always zero, with weights beside which all others vanish.
        norm.weight[0] = norm.bias[0] = 0.0
        measured.get_submodule(spoilt).weight[:, 0] = 100.0
    found = sensitivity(measured, clips(3), given)
    assert next(iter(found)) == spoilt
    assert found[spoilt] > 3 * sorted(found.values())[-2]


def test_measuring_leaves_the_network_as_it_was():
    measured, given = network(), clips(2)
    before = {name: tensor.clone() for name, tensor in measured.state_dict().items()}
    with torch.no_grad():
        outputs = measured.forward_with_heatmap(given)
    counted = []
    found = sensitivity(measured, clips(3), given, lambda *count: counted.append(count))
    assert counted == [(done, 4) for done in range(1, 5)]
    assert found.keys() == quantisable(measured).keys()
    assert all(0 < value < 1 for value in found.values())
    assert list(found.values()) == sorted(found.values(), reverse=True)

    after = measured.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    with torch.no_grad():
        again = measured.forward_with_heatmap(given)
    assert all(torch.equal(one, other) for one, other in zip(again, outputs, strict=True))
    assert not any(module._forward_pre_hooks or "weight" in vars(module) for module in measured.modules())
    assert sensitivity(measured, clips(3), given) == found


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("ds3d_fgattnet", {"frames": 8}), ("mobilenet_v2_3d", {"width_mult": 0.25, "mode": "causal"})],
)
def test_every_layer_of_the_video_families_is_ranked(name, arguments):
    torch.manual_seed(0)
    channels = 5 if name.startswith("ds3d") else 3
    video = seasoned(create_model(name, num_classes=2, **arguments), clips(2, channels))
    found = sensitivity(video, clips(2, channels), clips(1, channels))
    assert found.keys() == quantisable(video).keys()
    # Attention's few hidden units may all be dead in a network with random weights.
    assert sum(value > 0 for value in found.values()) > 0.8 * len(found)
