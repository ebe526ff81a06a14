"""The training step: rates by kind of layer, the schedule, frozen statistics, a loss that is not finite."""

import math
from types import SimpleNamespace

import vedette_train.torchvision_compat  # noqa: F401 - before lightning is imported

import pytest
import torch
from torch import nn

from vedette_edge.errors import DataError
from vedette_train.classifier import ClipClassifier, parameter_groups, warmup_cosine
from vedette_train.losses import evidence_in_quiet_places
from vedette_train.models.mobilenet_v2_3d import MobileNetV2_3d
from vedette_train.recipe import TrainSettings


class Constant(nn.Module):
    """A network that says the same of every clip."""

    def __init__(self, *logits):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, clips):
        return self.logits.expand(len(clips), -1)


def quiet(classifier):
    """Without a trainer there is nobody to log to."""
    classifier.log = lambda *_, **__: None
    return classifier


def batch(*labels):
    return torch.zeros(len(labels), 3, 1, 1, 1), torch.tensor(labels)


def test_the_rate_rises_linearly_and_falls_along_a_cosine():
    factors = [warmup_cosine(step, 4, 12) for step in range(13)]
    assert factors[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert factors[8] == pytest.approx(0.5)
    assert factors[12] == pytest.approx(0.0)
    assert factors[4:] == sorted(factors[4:], reverse=True)


@pytest.mark.parametrize(("step", "factor"), [(0, 1.0), (1, 1.0), (2, 0.0), (99, 0.0)])
def test_a_training_of_one_step_has_a_rate(step, factor):
    assert warmup_cosine(step, 1, 1) == pytest.approx(factor)


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


def test_a_kind_without_parameters_has_no_group():
    groups = parameter_groups(nn.Linear(2, 2), TrainSettings())
    assert [group["name"] for group in groups] == ["classifier"]


def test_the_optimiser_warms_up_over_a_share_of_all_steps():
    classifier = ClipClassifier(Constant(0.0, 0.0), 2, TrainSettings(warmup=0.25, weight_decay=0.5, lr=1.0))
    classifier._trainer = SimpleNamespace(estimated_stepping_batches=20)
    found = classifier.configure_optimizers()
    assert found["lr_scheduler"]["interval"] == "step"
    assert found["optimizer"].defaults["weight_decay"] == 0.5
    assert found["optimizer"].param_groups[0]["lr"] == pytest.approx(1 / 5)


@pytest.mark.parametrize(("name", "kind"), [("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)])
def test_the_optimiser_is_the_one_asked_for(name, kind):
    classifier = ClipClassifier(Constant(0.0, 0.0), 2, TrainSettings(optimizer=name))
    classifier._trainer = SimpleNamespace(estimated_stepping_batches=20)
    assert type(classifier.configure_optimizers()["optimizer"]) is kind


def test_training_mode_is_set_each_epoch_because_lightning_does_not():
    network = MobileNetV2_3d(2, width_mult=0.25)
    classifier = ClipClassifier(network, 2, TrainSettings(), freeze_batchnorm=True)
    classifier.on_train_epoch_start()
    assert network.classifier.training
    assert not any(module.training for module in network.modules() if isinstance(module, nn.BatchNorm3d))


@pytest.mark.parametrize("frozen", [False, True])
def test_frozen_batch_norm_keeps_its_statistics(frozen):
    network = MobileNetV2_3d(2, width_mult=0.25)
    classifier = quiet(ClipClassifier(network, 2, TrainSettings(), freeze_batchnorm=frozen)).train()
    before = network.features[0].bn.running_mean.clone()
    classifier.training_step((torch.randn(2, 3, 2, 32, 32), torch.tensor([0, 1])), 0)
    assert torch.equal(network.features[0].bn.running_mean, before) is frozen
    assert network.training
    assert not classifier.eval().network.training


def test_the_loss_is_the_cross_entropy_weighed_and_smoothed():
    settings, weights = TrainSettings(label_smoothing=0.2), torch.tensor([1.0, 3.0])
    classifier = quiet(ClipClassifier(Constant(0.0, 2.0), 2, settings, class_weights=weights))
    found = classifier.training_step(batch(0, 1, 1), 0)
    log_p = [-math.log(1 + math.exp(2)), -math.log(1 + math.exp(-2))]
    # Smoothed target: 0.9 of the truth, 0.1 of the other, each weighed by its own class.
    first = -(0.9 * log_p[0] + 3 * 0.1 * log_p[1])
    other = -(0.1 * log_p[0] + 3 * 0.9 * log_p[1])
    assert found.item() == pytest.approx((first + 2 * other) / (1 + 3 + 3))


def test_evidence_in_quiet_places_is_added_to_the_loss_while_training_and_only_then():
    network = MobileNetV2_3d(2, width_mult=0.25, dropout=0.0)
    clips, labels = torch.randn(2, 3, 2, 64, 64), torch.tensor([0, 1])
    losses = {}
    for weight in (0.0, 2.0):
        classifier = quiet(ClipClassifier(network, 2, TrainSettings(locality=weight))).train()
        losses[weight] = classifier.training_step((clips, labels), 0).item()
        assert classifier.eval()._forward(clips, labels)[1] == 0
    heatmap = network.train().forward_with_heatmap(clips)[1]
    penalty = evidence_in_quiet_places(clips, heatmap, labels, network.heatmap_cells).item()
    assert losses[2.0] - losses[0.0] == pytest.approx(2 * penalty, abs=1e-3)


@pytest.mark.parametrize(("logits", "loss"), [((math.nan, 0.0), "nan"), ((-math.inf, 0.0), "inf")])
def test_a_loss_that_is_not_finite_names_its_batch(logits, loss):
    classifier = quiet(ClipClassifier(Constant(*logits), 2, TrainSettings()))
    with pytest.raises(DataError, match=rf"the loss is {loss} at batch 7 of epoch 0; lower train\.lr"):
        classifier.training_step(batch(0), 7)


def test_validation_logs_and_never_raises():
    classifier = ClipClassifier(Constant(math.nan, 0.0), 2, TrainSettings())
    logged = {}
    classifier.log = lambda name, value, **options: logged.update({name: (value, options)})
    classifier.validation_step(batch(0, 1), 0)
    assert set(logged) == {"val_loss", "val_accuracy"}
    assert logged["val_loss"][1]["batch_size"] == 2
    assert logged["val_loss"][1]["on_epoch"]
