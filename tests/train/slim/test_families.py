"""Every family gets smaller and cheaper, keeps its outputs, and loses silent channels without a trace."""

from copy import deepcopy

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import pytest
import torch
from slim_helpers import FAMILIES, clips, family, silence

from vedette_train.costs import count_gmacs, parameter_count
from vedette_train.slim.cut import cut, slimming_of
from vedette_train.slim.groups import groups_of
from vedette_train.slim.record import Slimming
from vedette_train.slim.remove import remove_silent, slim
from vedette_train.slim.settings import SlimSettings


@pytest.mark.parametrize("name", FAMILIES)
def test_half_of_the_channels_leave_and_the_record_repeats_it(name):
    network, spec = family(name)
    x = clips(spec)
    with torch.no_grad():
        logits, heatmap = network.forward_with_heatmap(x)
    before = parameter_count(network), count_gmacs(lambda: network(x))
    again = deepcopy(network)
    record = slim(network, spec, SlimSettings(ratio=0.5, scope="layer"))
    with torch.no_grad():
        slim_logits, slim_heatmap = network.forward_with_heatmap(x)
        torch.testing.assert_close(network(x), slim_logits, atol=1e-5, rtol=1e-4)
    assert slim_logits.shape == logits.shape
    assert slim_heatmap.shape == heatmap.shape
    assert parameter_count(network) < 0.6 * before[0]
    assert count_gmacs(lambda: network(x)) < 0.6 * before[1]
    assert not network.training

    cut(again, Slimming.model_validate_json(record.model_dump_json()))
    assert slimming_of(again) == record
    for key, tensor in network.state_dict().items():
        assert torch.equal(again.state_dict()[key], tensor), key
    with torch.no_grad():
        assert torch.equal(again(x), network(x))


@pytest.mark.parametrize("name", FAMILIES)
def test_silent_channels_leave_without_a_trace(name):
    network, spec = family(name)
    groups = groups_of(network, spec)
    silence(network, groups)
    x = clips(spec)
    with torch.no_grad():
        logits, heatmap = network.forward_with_heatmap(x)
    before = parameter_count(network)
    remove_silent(network, groups)
    assert parameter_count(network) < 0.6 * before
    with torch.no_grad():
        torch.testing.assert_close(network(x), logits, atol=2e-6, rtol=1e-4)
        torch.testing.assert_close(network.forward_with_heatmap(x)[1], heatmap, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("name", ["mobilenet standard", "fgattnet", "per_frame_2d"])
def test_a_slim_network_can_be_trained(name):
    network, spec = family(name)
    slim(network, spec, SlimSettings(ratio=0.6))
    network.train()
    network(clips(spec)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
