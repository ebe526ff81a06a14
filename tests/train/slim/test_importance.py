"""Scores of channels, on networks small enough to count by hand."""

import pytest
import torch
from slim_helpers import clips, family
from torch import nn

from vedette_edge.errors import ConfigError
from vedette_train.slim.groups import find_groups
from vedette_train.slim.importance import importances, taylor_importances
from vedette_train.slim.remove import slim
from vedette_train.slim.settings import SlimSettings


@pytest.fixture
def network():
    """Three channels between two layers: 1, 2, 3 in the first; 0, -1, 3 in the second; scales 4, 1, 1."""
    network = nn.Sequential(nn.Conv2d(1, 3, 1, bias=False), nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1, 1))
        network[1].weight.copy_(torch.tensor([4.0, 1.0, 1.0]))
        network[2].weight.copy_(torch.tensor([0.0, -1.0, 3.0]).view(1, 3, 1, 1))
    return network


@pytest.mark.parametrize(
    ("kind", "sums"), [("l1", [5.0, 4.0, 7.0]), ("l2", [17.0, 6.0, 19.0]), ("bn", [4.0, 1.0, 1.0])]
)
def test_a_channel_matters_as_much_as_all_weights_that_leave_with_it(kind, sums, network):
    groups = find_groups(network, network, (1, 1, 4, 4))
    (scores,) = importances(network, groups, kind)
    torch.testing.assert_close(scores, torch.tensor(sums) / (sum(sums) / 3))


def test_without_batch_norm_its_scale_is_the_norm_of_the_weights(network):
    bare = nn.Sequential(network[0], network[2])
    groups = find_groups(bare, bare, (1, 1, 4, 4))
    torch.testing.assert_close(importances(bare, groups, "bn"), importances(bare, groups, "l2"))


def test_taylor_is_the_squared_product_of_weights_and_gradients(network):
    bare = nn.Sequential(network[0], network[2])
    groups = find_groups(bare, bare, (1, 1, 4, 4))
    x = torch.ones(1, 1, 1, 1)
    (scores,) = taylor_importances(bare, groups, (bare(x).square().sum() for _ in range(2)))
    # y = 7 + b; dy^2/dw w of channel c is 2 y (first c times second c), in both layers alike.
    products = torch.tensor([0.0, -2.0, 9.0]).square()
    torch.testing.assert_close(scores, products / products.mean())
    assert bare[0].weight.grad is None


def test_taylor_removes_what_the_loss_does_not_see_though_its_weights_are_large():
    network, spec = family("simple_3d")
    with torch.no_grad():
        network.head.weight[:, :64] = 0
        network.features[8].weight[:64] *= 100
    data = [(clips(spec, 3), torch.tensor([0, 1, 2]), torch.arange(3))]
    record = slim(network, spec, SlimSettings(importance="taylor", scope="layer"), data)
    assert record.layers["head"].inputs.kept == tuple(range(64, 128))
    with pytest.raises(ConfigError, match="taylor needs training data"):
        slim(network, spec, SlimSettings(importance="taylor"))
