"""The last layer is fitted on frozen features, and nothing else is touched."""

import numpy as np
import pytest
import torch
from torch import nn

from vedette_edge.errors import ConfigError
from vedette_train.probe import fit_probe, last_linear, probe


def blobs(classes, per_class=30, seed=0):
    """Return features of classes that lie apart, on scales a thousandfold different, in ten groups."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), per_class)
    centres = 3 * random.standard_normal((classes, 8))
    features = (centres[labels] + random.standard_normal((len(labels), 8))) * np.logspace(-2, 1, 8)
    return features.astype(np.float32), labels, [str(i % 10) for i in range(len(labels))]


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_what_can_be_told_apart_is_told_apart_by_raw_features(classes):
    features, labels, groups = blobs(classes)
    found = fit_probe(features, labels, groups, classes)
    assert found.weight.shape == (classes, 8)
    logits = features @ found.weight.T + found.bias
    assert (logits.argmax(axis=1) == labels).mean() > 0.95


def test_pure_noise_is_given_a_strong_penalty():
    random = np.random.default_rng(1)
    features = random.standard_normal((200, 50)).astype(np.float32)
    labels, groups = random.integers(0, 2, 200), [str(i % 20) for i in range(200)]
    assert fit_probe(features, labels, groups, 2).strength < 1e-2


def test_a_class_without_videos_is_never_chosen():
    features, labels, groups = blobs(2)
    found = fit_probe(features, 2 * labels, groups, 3)
    logits = features @ found.weight.T + found.bias
    assert (logits.argmax(axis=1) == 2 * labels).mean() > 0.95


class Bright(torch.utils.data.Dataset):
    """Clips that are bright or dark."""

    def __len__(self):
        return 16

    def __getitem__(self, index):
        label = index % 2
        return torch.rand(3, 4, 8, 8) + 2.0 * label, label, index


def test_only_the_last_layer_changes():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv3d(3, 4, 3),
        nn.BatchNorm3d(4),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(4, 2),
    ).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    done = []
    loader = torch.utils.data.DataLoader(Bright(), batch_size=3)
    probe(network, loader, [str(i // 2) for i in range(16)], on_progress=lambda *a: done.append(a))
    changed = {n for n, tensor in network.state_dict().items() if not torch.equal(tensor, before[n])}
    assert changed == {"5.weight", "5.bias"}
    assert done[-1] == (6, 6)
    assert network.training
    assert not last_linear(network)._forward_pre_hooks
    clips, labels, _ = zip(*[Bright()[i] for i in range(16)], strict=True)
    assert (network.eval()(torch.stack(clips)).argmax(dim=1) == torch.tensor(labels)).all()


def test_a_network_without_a_linear_layer_is_refused():
    with pytest.raises(ConfigError, match="no linear layer"):
        last_linear(nn.Conv2d(1, 1, 1))
