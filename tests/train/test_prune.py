"""Masks: the share is the target's at every epoch, never falls, and is there in the weights that are kept."""

import vedette_train.torchvision_compat  # noqa: F401 - before lightning is imported

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from train_helpers import tiny_recipe

from vedette_edge.errors import ConfigError
from vedette_train.fit import train
from vedette_train.history import read_history
from vedette_train.models import create_model
from vedette_train.models.dual_stream_layers import Cbam3d
from vedette_train.prune import (
    check_ramp,
    first_complete_epoch,
    masked_channels,
    prunable,
    target_share,
    weakest,
    zero_channels,
)
from vedette_train.recipe import PruneSettings, TrainSettings
from vedette_train.runs import build_network

PUBLISHED = {"start": 0.05, "end": 0.30, "warmup": 2, "epochs": 10}

ramps = st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 5), st.integers(1, 12)).map(
    lambda v: PruneSettings(start=min(v[:2]), end=max(v[:2]), warmup=v[2], epochs=v[3])
)


def course(settings, channels, epochs):
    """Return how many of `channels` are masked in each epoch."""
    masked, found = 0, []
    for epoch in range(epochs):
        masked = masked_channels(settings, epoch, channels, masked)
        found.append(masked)
    return found


@given(ramps, st.integers(1, 300))
def test_the_masked_share_is_the_target_at_every_epoch_and_never_falls(settings, channels):
    epochs = first_complete_epoch(settings) + 3
    found = course(settings, channels, epochs)
    for epoch, masked in enumerate(found):
        assert masked == min(channels - 1, round(target_share(settings, epoch) * channels))
    assert found == sorted(found)
    assert found[: settings.warmup] == [0] * settings.warmup
    assert target_share(settings, epochs) == pytest.approx(settings.end)


@given(ramps, st.integers(2, 64), st.randoms(use_true_random=False))
def test_masks_grow_over_what_they_hold_though_weights_change(settings, channels, random):
    generator = torch.Generator().manual_seed(random.randrange(2**31))
    weight, before = torch.randn(channels, 3, 1, 1, 1, generator=generator), torch.zeros(channels).bool()
    for count in course(settings, channels, first_complete_epoch(settings) + 2):
        mask = weakest(weight, count)
        assert mask.sum() == count
        assert not (before & ~mask).any()
        before = mask
        weight = torch.randn(channels, 3, 1, 1, 1, generator=generator)
        weight[mask] = 0.0


@pytest.mark.parametrize(("channels", "left"), [(16, 2), (32, 4), (64, 7), (128, 15)])
def test_the_published_ramp_compounds_to_almost_nine_tenths(channels, left):
    published = PruneSettings(**PUBLISHED, compounding=True)
    assert channels - course(published, channels, 20)[-1] == left
    right = PruneSettings(**PUBLISHED)
    assert course(right, channels, 20)[-1] == round(0.3 * channels)


def test_the_weakest_channels_are_those_of_the_smallest_norm():
    weight = torch.tensor([3.0, 0.5, -2.0, 0.1]).view(4, 1, 1, 1, 1)
    assert weakest(weight, 2).tolist() == [False, True, False, True]
    assert weakest(torch.ones(4, 1, 1, 1, 1), 2).tolist() == [True, True, False, False]


def test_attention_keeps_all_its_channels():
    class Attention(nn.Module):
        prunable = False

        def __init__(self):
            super().__init__()
            self.mix = nn.Conv3d(2, 4, 1)

    network = nn.Sequential(nn.Conv3d(3, 4, 1), Attention(), nn.Conv2d(3, 4, 1))
    assert list(prunable(network)) == ["0", "2"]


def test_a_network_of_2d_convolutions_is_masked_too(data, cache, tmp_path):
    recipe = tiny_recipe(
        model={"name": "early_fusion_2d"},
        train__epochs=2,
        train__prune={"start": 0.5, "end": 0.5, "warmup": 0, "epochs": 1},
    )
    train(recipe, data, tmp_path / "run", cache=cache)
    network = build_network(recipe, 2)
    network.load_state_dict(torch.load(tmp_path / "run" / "model.pt", weights_only=True))
    assert prunable(network)
    for conv in prunable(network).values():
        zero = (conv.weight.flatten(1) == 0).all(dim=1).sum()
        assert zero == round(0.5 * conv.out_channels)
    assert read_history(tmp_path / "run")["pruned"] == pytest.approx([0.5, 0.5])


def test_the_dual_stream_network_is_pruned_but_for_its_attention():
    network = create_model("ds3d_fgattnet", num_classes=2)
    found = set(prunable(network))
    left = {name for name, module in network.named_modules() if isinstance(module, nn.Conv3d)} - found
    assert len(found) > 20
    assert left
    attention = [name for name, module in network.named_modules() if isinstance(module, Cbam3d)]
    assert all(any(name.startswith(f"{one}.") for one in attention) for name in left)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"warmup": 2, "epochs": 4}, r"in epoch 7 .*train\.epochs is 6"),
        ({"start": 0.5, "end": 0.2, "epochs": 1}, "end 0.2 is below start 0.5"),
    ],
)
def test_a_ramp_that_cannot_be_followed_ends_before_training(changes, sentence):
    with pytest.raises(ConfigError, match=sentence):
        check_ramp(TrainSettings(epochs=6, prune=PruneSettings(**changes)))
    check_ramp(TrainSettings(epochs=7, prune=PruneSettings(warmup=2, epochs=4)))
    check_ramp(TrainSettings(epochs=1))


def test_the_weights_that_are_kept_have_the_zeros_that_the_recipe_asks_for(data, cache, tmp_path, capsys):
    recipe = tiny_recipe(
        train__epochs=3, train__prune={"start": 0.2, "end": 0.4, "warmup": 1, "epochs": 1}, train__lr=0.01
    )
    train(recipe, data, tmp_path / "run", cache=cache)
    network = build_network(recipe, 2)
    network.load_state_dict(torch.load(tmp_path / "run" / "model.pt", weights_only=True))
    for conv in prunable(network).values():
        zero = (conv.weight.flatten(1) == 0).all(dim=1).sum()
        assert zero == round(0.4 * conv.out_channels)
    zero, channels = zero_channels(network)
    assert f"pruned: {zero} of {channels} channels are zero (39.9%)" in capsys.readouterr().err
    assert read_history(tmp_path / "run")["pruned"] == pytest.approx([0.0, 0.2, 0.4], abs=0.005)
