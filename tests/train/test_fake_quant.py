"""Simulated int8: the integers are those of the formula, and the network itself is not touched."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from model_helpers import NORMS, seasoned
from torch import nn

from vedette_train.fake_quant import (
    calibrate,
    followed,
    input_scale,
    observed,
    quantisable,
    range_of,
    round_input,
    round_weight,
    simulated,
    weight_scales,
    widened,
)
from vedette_train.models import create_model, takes

ends = st.floats(-1e4, 1e4, width=32)
spans = st.floats(2**-10, 1e4, width=32)
seeds = st.integers(0, 2**31)

NETWORKS = [
    ("mobilenet_v2_3d", {"width_mult": 0.25, "mode": "standard"}),
    ("mobilenet_v2_3d", {"width_mult": 0.25, "mode": "high_temporal"}),
    ("mobilenet_v2_3d", {"width_mult": 0.25, "mode": "causal", "time_pooling": "max"}),
    ("ds3d_fgattnet", {"frames": 8}),
    ("ds3d_baseline", {"frames": 8, "fusion": "gated"}),
    ("late_fusion", {}),
]


def uniform(seed, *shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def network_and_clips(name, arguments, clips=2):
    torch.manual_seed(1)
    network = create_model(name, num_classes=2, **arguments)
    channels, _ = takes(name, **arguments)
    given = uniform(2, clips, channels, 8, 32, 32) * 4 - 2
    return seasoned(network, given), given


@given(ends, spans, seeds)
def test_inputs_are_rounded_as_the_formula_says(low, span, seed):
    bounds = range_of(torch.tensor([low, low + span]))
    x = bounds[0] + (bounds[1] - bounds[0]) * uniform(seed, 64)
    found = round_input(x, bounds).numpy()

    scale, zero_point = (np.float64(value) for value in input_scale(bounds))
    exact = x.double().numpy() / scale
    wanted = scale * (np.clip(np.rint(exact) + zero_point, 0, 255) - zero_point)
    clear = np.abs(exact - np.floor(exact) - 0.5) > 1e-3  # halves may go either way
    assert found[clear] == pytest.approx(wanted[clear], rel=1e-5, abs=1e-6 * scale)
    assert np.abs(found - x.numpy()).max() <= scale * 0.501


@given(ends, ends)
def test_zero_is_exact_in_every_range_and_what_lies_outside_is_cut_off(one, other):
    bounds = range_of(torch.tensor([one, other]))
    assert bounds[0] <= 0 <= bounds[1]
    assert round_input(torch.zeros(3), bounds).tolist() == [0, 0, 0]
    scale = input_scale(bounds)[0]
    cut = round_input(torch.tensor([-1e6, 1e6]), bounds)
    assert (cut - bounds).abs().max() <= 0.501 * scale + 1e-9


def test_what_is_not_finite_gets_through_to_the_loss():
    x = torch.tensor([1.0, float("nan")])
    assert round_input(x, range_of(x)).isnan().all()


@given(seeds, st.sampled_from([(8, 3, 1, 1, 1), (8, 1, 3, 3, 3), (8, 3, 1, 3, 3), (8, 5)]))
def test_folding_batch_norm_before_or_after_gives_the_same_integers(seed, shape):
    weight = uniform(seed, *shape) * 2 - 1
    factor = torch.exp(6 * uniform(seed + 1, shape[0]) - 3) * torch.where(
        uniform(seed, shape[0]) < 0.5, -1, 1
    )
    factor = factor.view(-1, *[1] * (len(shape) - 1))
    folded = weight * factor
    after, before = round_weight(weight) * factor, round_weight(folded)
    scales = weight_scales(folded).view_as(factor)
    exact = folded / scales
    clear = (exact - exact.floor() - 0.5).abs() > 1e-3
    assert torch.equal((after / scales).round()[clear], (before / scales).round()[clear])
    assert torch.allclose(after[clear], before[clear], rtol=1e-5)
    assert (before - folded).abs().le(0.501 * scales).all()


def test_channels_that_are_all_zero_stay_zero():
    weight = torch.zeros(2, 3, 1, 1, 1)
    weight[1, 2] = 5.0
    assert torch.equal(round_weight(weight), weight)


def test_gradients_pass_the_rounding_and_stop_where_a_value_is_cut_off():
    layer = nn.Linear(3, 2)
    x = torch.tensor([[0.3, 0.7, 9.0]], requires_grad=True)
    with simulated(layer, {"": torch.tensor([0.0, 1.0])}):
        rounded = layer.weight
        layer(x).sum().backward()
    assert layer.weight.grad[0].tolist() == pytest.approx([0.3, 0.7, 1.0], abs=0.002)
    assert torch.equal(x.grad[0], rounded.detach().sum(dim=0) * torch.tensor([1.0, 1.0, 0.0]))


def test_ranges_widen_or_follow_and_zero_stays_inside():
    before, seen = torch.tensor([-1.0, 2.0]), range_of(torch.tensor([3.0, 4.0]))
    assert seen.tolist() == [0.0, 4.0]
    assert widened(before, seen).tolist() == [-1.0, 4.0]
    course = before
    for _ in range(200):
        moved = followed(course, seen)
        assert (moved - seen).abs().le((course - seen).abs()).all()
        course = moved
    assert course.tolist() == pytest.approx([0.0, 4.0], abs=1e-3)


def test_every_convolution_and_linear_layer_is_quantised_and_nothing_else():
    network = create_model("ds3d_fgattnet", num_classes=2)
    weights = {
        name for name, tensor in network.named_parameters() if name.endswith("weight") and tensor.ndim > 1
    }
    assert {f"{name}.weight" for name in quantisable(network)} == weights


@pytest.mark.parametrize(("name", "arguments"), NETWORKS)
def test_a_network_computes_otherwise_under_the_same_names_and_is_then_as_it_was(name, arguments):
    network, clips = network_and_clips(name, arguments)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.no_grad():
        plain = network.forward_with_heatmap(clips)
    ranges = calibrate(network, clips)
    assert ranges.keys() == quantisable(network).keys()

    with torch.no_grad(), simulated(network, ranges):
        assert list(network.state_dict()) == list(before)
        rounded = network.forward_with_heatmap(clips)
    for one, other in zip(rounded, plain, strict=True):
        assert not torch.allclose(one, other, rtol=1e-4)

    network.train()
    for module in network.modules():
        module.train(not isinstance(module, NORMS))
    with simulated(network, ranges):
        network(clips).square().sum().backward()
    for layer in quantisable(network).values():
        assert layer.weight.grad.abs().sum() > 0

    network.eval()
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    with torch.no_grad():
        again = network.forward_with_heatmap(clips)
    assert all(torch.equal(one, other) for one, other in zip(again, plain, strict=True))
    assert not any(module._forward_pre_hooks or "weight" in vars(module) for module in network.modules())


def test_a_training_that_breaks_off_leaves_the_plain_network():
    layer = nn.Linear(3, 2)
    plain = layer.weight
    with pytest.raises(RuntimeError), simulated(layer, {}):
        layer(torch.ones(1, 4))
    assert layer.weight is plain


def problem(clips=256):
    """Return inputs and labels; a nuisance a thousand times as large hides what the label depends on."""
    x = uniform(5, clips, 2) * 2 - 1
    return x, (x[:, 0] > 0).long()


def badly_scaled():
    """Return a network that solves the problem in float: its second layer sees 0..0.4 beside 0..1000."""
    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[0.4, 0.0], [-0.4, 0.0], [0.0, 1000.0]]))
        network[2].weight.copy_(torch.tensor([[-20.0, 20.0, 0.0], [20.0, -20.0, 0.0]]))
        for layer in (network[0], network[2]):
            layer.bias.zero_()
    return network


def trained_in_int8(network, x, labels, steps=300, *, rounds=True):
    ranges, optimizer = {}, torch.optim.Adam(network.parameters(), lr=0.03)
    for _ in range(steps):
        with observed(network, ranges, followed):
            network(x)
        with simulated(network, ranges, None if rounds else ()):
            loss = nn.functional.cross_entropy(network(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


def losses(network, x, labels):
    """Return the loss in float, and in int8 as calibration after training makes it."""
    with torch.no_grad():
        plain = nn.functional.cross_entropy(network(x), labels)
        with simulated(network, calibrate(network, x)):
            return float(plain), float(nn.functional.cross_entropy(network(x), labels))


def test_training_in_int8_mends_what_rounding_after_training_spoils():
    x, labels = problem()
    plain, rounded = losses(badly_scaled(), x, labels)
    assert plain < 0.2 < 0.6 < rounded  # it guesses: log 2 is 0.69
    in_float = losses(trained_in_int8(badly_scaled(), x, labels, rounds=False), x, labels)[1]
    in_int8 = losses(trained_in_int8(badly_scaled(), x, labels), x, labels)[1]
    assert in_int8 < 0.5 * in_float
