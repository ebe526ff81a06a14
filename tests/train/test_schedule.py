"""The optimiser that the recipe names, a rate for each kind of layer, and what becomes of the rates."""

import vedette_train.torchvision_compat  # noqa: F401 - before lightning is imported

import pytest
import torch
from torch import nn

from vedette_train.models.mobilenet_v2_3d import MobileNetV2_3d
from vedette_train.recipe import TrainSettings
from vedette_train.schedule import (
    RateFactor,
    make_optimizer,
    make_plateau,
    make_schedule,
    mode_of,
    parameter_groups,
)


def rates(settings, steps):
    """Return the rate at each step."""
    optimizer = make_optimizer(nn.Linear(2, 2), settings)
    schedule = make_schedule(optimizer, settings, steps)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_the_rate_rises_linearly_and_falls_along_a_cosine():
    factor = RateFactor(TrainSettings(warmup=1 / 3), 12)
    factors = [factor(step) for step in range(13)]
    assert factors[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert factors[8] == pytest.approx(0.5)
    assert factors[12] == pytest.approx(0.0)
    assert factors[4:] == sorted(factors[4:], reverse=True)


@pytest.mark.parametrize(("step", "factor"), [(0, 1.0), (1, 1.0), (2, 0.0), (99, 0.0)])
def test_a_training_of_one_step_has_a_rate(step, factor):
    plan = RateFactor(TrainSettings(epochs=1), 1)
    plan.warm = 1
    assert plan(step) == pytest.approx(factor)


def test_a_step_schedule_falls_every_so_many_epochs():
    settings = TrainSettings(schedule="step", epochs=6, step_epochs=2, factor=0.5, warmup=0.0, lr=1.0)
    # Three steps an epoch.
    assert rates(settings, 18) == pytest.approx([1.0] * 6 + [0.5] * 6 + [0.25] * 6)


@pytest.mark.parametrize("schedule", ["constant", "plateau"])
def test_other_schedules_only_warm_up(schedule):
    settings = TrainSettings(schedule=schedule, warmup=0.4, lr=1.0)
    assert rates(settings, 10) == pytest.approx([0.25, 0.5, 0.75] + [1.0] * 7)


def test_the_plan_is_kept_when_epochs_are_added():
    first = make_schedule(
        make_optimizer(nn.Linear(1, 1), TrainSettings()), TrainSettings(schedule="step"), 40
    )
    longer = TrainSettings(schedule="step", epochs=40)
    second = make_schedule(make_optimizer(nn.Linear(1, 1), longer), longer, 80)
    second.load_state_dict(first.state_dict())
    assert second.lr_lambdas[0].__dict__ == first.lr_lambdas[0].__dict__


@pytest.mark.parametrize(("monitor", "figures"), [("val_loss", [1, 2, 2, 2]), ("val_f1", [2, 1, 1, 1])])
def test_a_plateau_falls_in_the_direction_that_the_metric_knows(monitor, figures):
    settings = TrainSettings(schedule="plateau", monitor=monitor, plateau_patience=2, factor=0.5, lr=1.0)
    optimizer = make_optimizer(nn.Linear(1, 1), settings)
    plateau = make_plateau(optimizer, settings)
    for figure in figures:
        assert optimizer.param_groups[0]["lr"] == 1.0
        plateau.step(float(figure))
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_only_a_plateau_has_a_plateau():
    assert make_plateau(make_optimizer(nn.Linear(1, 1), TrainSettings()), TrainSettings()) is None


@pytest.mark.parametrize(
    ("monitor", "mode"), [("val_loss", "min"), ("val_accuracy", "max"), ("val_f1", "max")]
)
def test_losses_fall_and_shares_rise(monitor, mode):
    assert mode_of(monitor) == mode


def test_every_parameter_is_in_one_group_with_the_rate_of_its_kind():
    network = MobileNetV2_3d(3, width_mult=0.25)
    groups = parameter_groups(network, TrainSettings(lr=0.1, lr_pointwise=0.01, lr_spatial=0.001))
    assert [(group["name"], group["lr"]) for group in groups] == [
        ("classifier", 0.1),
        ("pointwise", 0.01),
        ("spatial", 0.001),
    ]
    found = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(found) == sorted(map(id, network.parameters()))
    by_name = {group["name"]: {id(one) for one in group["params"]} for group in groups}
    assert id(network.head.weight) in by_name["classifier"]
    assert id(network.features[18].conv.weight) in by_name["pointwise"]
    assert id(network.features[18].bn.weight) in by_name["spatial"]
    assert id(network.features[0].conv.weight) in by_name["spatial"]


def test_rates_that_are_not_given_are_that_of_the_classifier():
    groups = parameter_groups(MobileNetV2_3d(3, width_mult=0.25), TrainSettings(lr=0.1))
    assert {group["lr"] for group in groups} == {0.1}


def test_a_kind_without_parameters_and_frozen_layers_have_no_group():
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm3d(2).requires_grad_(False))
    assert [group["name"] for group in parameter_groups(network, TrainSettings())] == ["classifier"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("adamw", torch.optim.AdamW),
        ("adam", torch.optim.Adam),
        ("sgd", torch.optim.SGD),
        ("rmsprop", torch.optim.RMSprop),
    ],
)
def test_the_optimiser_is_the_one_asked_for(name, kind):
    optimizer = make_optimizer(nn.Linear(2, 2), TrainSettings(optimizer=name, weight_decay=0.5))
    assert type(optimizer) is kind
    assert optimizer.defaults["weight_decay"] == 0.5
