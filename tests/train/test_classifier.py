"""The training step: loss, metrics, pairs of clips, frozen statistics, a loss that is not finite."""

import math
from pathlib import Path

import vedette_train.torchvision_compat  # noqa: F401 - before lightning is imported

import pytest
import torch
from torch import nn

from vedette_edge.errors import DataError
from vedette_train.classifier import ClipClassifier
from vedette_train.losses import evidence_in_quiet_places, symmetric_divergence
from vedette_train.models.mobilenet_v2_3d import MobileNetV2_3d
from vedette_train.recipe import DistilSettings, TrainSettings


class Constant(nn.Module):
    """A network that says the same of every clip."""

    def __init__(self, *logits):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, clips):
        return self.logits.expand(len(clips), -1)


def quiet(classifier):
    """Without a trainer there is nobody to log to."""
    classifier.log = classifier.log_dict = lambda *_, **__: None
    return classifier


def batch(*labels):
    return torch.zeros(len(labels), 3, 1, 1, 1), torch.tensor(labels)


def test_training_mode_is_set_each_epoch_because_lightning_does_not():
    network = MobileNetV2_3d(2, width_mult=0.25)
    classifier = ClipClassifier(network, 2, TrainSettings(), freeze_batchnorm=True)
    classifier.on_train_epoch_start()
    assert network.classifier.training
    assert not any(module.training for module in network.modules() if isinstance(module, nn.BatchNorm3d))


def test_every_kind_of_batch_norm_is_frozen():
    network = nn.Sequential(*(kind(4) for kind in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)))
    ClipClassifier(network, 2, TrainSettings(), freeze_batchnorm=True).train()
    assert network.training
    assert not any(layer.training for layer in network)


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


def test_a_teacher_has_its_share_of_the_loss_and_is_no_part_of_the_module():
    distil = DistilSettings(run=Path("teacher"), weight=0.25, temperature=2.0)
    teacher = Constant(2 * math.log(3), 0.0).requires_grad_(False)
    settings = TrainSettings(distil=distil)
    classifier = quiet(ClipClassifier(Constant(5.0, 5.0), 2, settings, teacher=teacher))
    found = classifier.training_step(batch(0, 1), 0)
    divergence = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert found.item() == pytest.approx(0.75 * math.log(2) + 0.25 * 4 * divergence)
    assert [name for name, _ in classifier.named_parameters()] == ["network.logits"]
    assert not any("teacher" in name for name in classifier.state_dict())


def test_evidence_in_quiet_places_is_added_to_the_loss_while_training_and_only_then():
    network = MobileNetV2_3d(2, width_mult=0.25, dropout=0.0)
    clips, labels = torch.randn(2, 3, 2, 64, 64), torch.tensor([0, 1])
    losses = {}
    for weight in (0.0, 2.0):
        classifier = quiet(ClipClassifier(network, 2, TrainSettings(locality=weight))).train()
        losses[weight] = classifier.training_step((clips, labels), 0).item()
        classifier.eval().validation_step((clips, labels), 0)  # where no heatmap is asked for
    heatmap = network.train().forward_with_heatmap(clips)[1]
    penalty = evidence_in_quiet_places(clips, heatmap, labels, network.heatmap_cells).item()
    assert losses[2.0] - losses[0.0] == pytest.approx(2 * penalty, abs=1e-3)


@pytest.mark.parametrize("consistency", [0.0, 5.0])
def test_pairs_of_clips_add_how_much_their_predictions_differ(consistency):
    network = MobileNetV2_3d(2, width_mult=0.25, dropout=0.0)
    pairs, labels = torch.randn(2, 2, 3, 2, 32, 32), torch.tensor([0, 1])
    classifier = quiet(
        ClipClassifier(network, 2, TrainSettings(consistency=consistency), freeze_batchnorm=True)
    ).train()
    found = classifier.training_step((pairs, labels), 0)
    first, second = network(pairs[:, 0]), network(pairs[:, 1])
    entropy = nn.functional.cross_entropy(torch.cat([first, second]), labels.repeat(2))
    expected = entropy + consistency * symmetric_divergence(first, second)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(("logits", "loss"), [((math.nan, 0.0), "nan"), ((-math.inf, 0.0), "inf")])
def test_a_loss_that_is_not_finite_names_its_batch_and_its_videos(logits, loss):
    names = ("a.mp4", "a.mp4", "b.mp4", "c.mp4")
    classifier = quiet(ClipClassifier(Constant(*logits), 2, TrainSettings(), names=names))
    sentence = rf"the loss is {loss} at batch 8 of epoch 1 \(c\.mp4, a\.mp4\); lower train\.lr"
    with pytest.raises(DataError, match=sentence):
        classifier.training_step((*batch(0, 0, 0), torch.tensor([3, 0, 1])), 7)
    with pytest.raises(DataError, match=rf"the loss is {loss} at batch 8 of epoch 1; lower"):
        classifier.training_step(batch(0), 7)


def test_layers_whose_parameters_are_frozen_keep_their_statistics():
    network = MobileNetV2_3d(2, width_mult=0.25)
    network.features[0].requires_grad_(False)
    classifier = ClipClassifier(network, 2, TrainSettings()).train()
    assert not network.features[0].bn.training
    assert network.features[18].bn.training
    assert classifier.network.classifier.training


def test_the_confusion_matrix_is_that_of_the_last_validation_alone():
    classifier = quiet(ClipClassifier(Constant(1.0, 0.0), 2, TrainSettings()))
    assert classifier.confusion is None
    for _ in range(2):
        for labels in ((0, 1, 1), (1,)):
            classifier.validation_step(batch(*labels), 0)
        classifier.on_validation_epoch_end()
        assert classifier.confusion == [[1, 0], [3, 0]]


def test_validation_measures_every_class_alike_and_never_raises():
    classifier = ClipClassifier(Constant(1.0, 0.0), 2, TrainSettings())
    logged = {}
    classifier.log = lambda name, value, **options: logged.update({name: (value, options)})
    classifier.log_dict = lambda values, **_: logged.update(values)
    classifier.validation_step(batch(0, 0, 0, 1), 0)
    assert logged["val_loss"][1]["batch_size"] == 4
    assert logged["val_loss"][1]["on_epoch"]
    found = {name: value.item() for name, value in classifier.val_metrics.compute().items()}
    # Class 0: precision 3/4, recall 1, F1 6/7. Class 1 is never found.
    assert found == pytest.approx(
        {"val_accuracy": 0.75, "val_precision": 0.375, "val_recall": 0.5, "val_f1": 3 / 7}
    )
    assert set(logged) == {"val_loss", *found}
    ClipClassifier.validation_step(
        quiet(ClipClassifier(Constant(math.nan, 0.0), 2, TrainSettings())), batch(0), 0
    )
