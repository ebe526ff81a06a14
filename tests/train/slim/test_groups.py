"""Channels that belong together: residual sums, fused streams, gates; and what never leaves."""

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import pytest
import torch
from slim_helpers import family
from torch import nn

from vedette_edge.errors import ConfigError
from vedette_train.slim.groups import find_groups, groups_of
from vedette_train.slim.remove import slim
from vedette_train.slim.settings import SlimSettings


def by_name(name, keep=()):
    network, spec = family(name)
    return {group.name: group for group in groups_of(network, spec, keep)}


def written(group):
    return {member.layer for member in group.members if member.side == "outputs"}


def read(group):
    return {member.layer for member in group.members if member.side == "inputs"}


def test_blocks_that_are_added_share_their_channels():
    group = by_name("mobilenet standard")["features.14.project.conv"]
    assert written(group) >= {f"features.{block}.project.conv" for block in (14, 15, 16)}
    assert read(group) == {f"features.{block}.expand.conv" for block in (15, 16, 17)}


def test_a_depthwise_layer_loses_the_channels_of_the_layer_before_it():
    group = by_name("mobilenet causal")["features.5.expand.conv"]
    assert "features.5.depthwise.conv" in written(group)
    assert read(group) == {"features.5.project.conv"}


@pytest.mark.parametrize(
    ("fusion", "together"), [("fgf", True), ("multiply", True), ("gated", True), ("concat", False)]
)
def test_streams_of_equal_width_stay_equal(fusion, together):
    groups = by_name(f"baseline {fusion}")
    ends = written(groups["rgb.10.temporal"])
    assert ("flow.10.temporal" in ends) is together
    if fusion in ("gated", "concat"):
        (mix,) = (
            m for m in groups["rgb.10.temporal"].members if m.layer == "fusion.mix" and m.side == "inputs"
        )
        assert len(mix.index) == (64 if fusion == "gated" else 32)


def test_attention_loses_what_it_weighs_and_its_own_width():
    groups = by_name("fgattnet")
    weighed = groups["rgb.4.temporal"]
    assert {"rgb.6.channel.excite", "rgb.4.bn"} <= written(weighed)
    assert {"rgb.6.channel.squeeze", "rgb.7.spatial"} <= read(weighed)
    assert groups["rgb.6.channel.squeeze"].channels == 2
    assert groups["head.attention.squeeze"].channels == 4
    assert not any(
        "spatial" in layer and layer.startswith("rgb.6") for g in groups.values() for layer in written(g)
    )


@pytest.mark.parametrize("name", ["fgattnet", "late_fusion"])
def test_classes_and_input_channels_never_leave(name):
    network, spec = family(name)
    layers = [one for one in network.modules() if isinstance(one, nn.Conv3d | nn.Linear)]
    classes = [one for one in layers if isinstance(one, nn.Linear) and one.out_features == 3]
    first = layers[0].in_channels
    slim(network, spec, SlimSettings(ratio=0.9))
    assert all(one.out_features == 3 for one in classes)
    assert layers[0].in_channels == first
    assert all(min(one.weight.shape[:2]) >= 1 for one in layers)
    for module in network.modules():
        if hasattr(module, "spatial_attention"):
            assert module.spatial.weight.shape[:2] == (1, 2)


def test_layers_that_are_kept_keep_their_width_and_all_that_share_it():
    groups = by_name("mobilenet standard", keep=("features.15",))
    assert "features.14.project.conv" not in groups
    assert "features.15.expand.conv" not in groups
    assert "features.17.expand.conv" in groups
    with pytest.raises(ConfigError, match=r"keep: no layer's name begins with 'featurs'; try: features"):
        by_name("mobilenet standard", keep=("featurs",))


def test_looking_leaves_modes_and_frozen_layers_as_they_are():
    network, spec = family("fgattnet")
    network.rgb.requires_grad_(False)
    network.train()
    network.flow.eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert groups_of(network, spec)
    assert not any(parameter.requires_grad for parameter in network.rgb.parameters())
    assert all(parameter.requires_grad for parameter in network.head.parameters())
    assert network.training
    assert not network.flow.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_grouped_convolutions_that_are_not_depthwise_are_left_alone():
    network = nn.Sequential(
        nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, groups=2), nn.Conv2d(8, 6, 1), nn.Conv2d(6, 2, 1)
    )
    groups = find_groups(network, network, (1, 3, 8, 8))
    assert [group.name for group in groups] == ["2"]
