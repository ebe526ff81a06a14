"""Detectors: one graph from picture to score and map, without state, the same after export."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from anomaly_helpers import KINDS
from anomaly_helpers import untrained_detector as detector
from torch import nn
from torchvision.models import mobilenet_v2

from vedette_edge.errors import DataError
from vedette_train.anomaly.backbones import FeatureReader, build_backbone, pooled
from vedette_train.anomaly.detectors import FeatCAE, inner_map, level, top_mean


@pytest.mark.parametrize("changes", KINDS.values())
def test_the_exported_graph_gives_the_same_score_and_map(changes):
    network = detector(**changes)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        exported = torch.export.export(network, (images,)).module()
        for (score, found), (other, same) in [(network(images), exported(images))]:
            assert found.shape[0] == 1
            torch.testing.assert_close(other, score)
            torch.testing.assert_close(same, found)


@pytest.mark.parametrize("changes", KINDS.values())
def test_threads_may_share_a_detector(changes):
    network = detector(**changes)
    pictures = [torch.randn(1, 3, 64, 64) for _ in range(12)]

    def score(picture):
        with torch.no_grad():
            return float(network(picture)[0])

    alone = [score(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(score, pictures)) == pytest.approx(alone)


@pytest.mark.parametrize("changes", KINDS.values())
def test_the_score_is_made_of_the_map_that_is_shown(changes):
    network = detector(**changes)
    with torch.no_grad():
        images = torch.randn(2, 3, 64, 64)
        score, found = network(images)
        parts = network.parts(network.features(images))
    largest = [np.sort(part.numpy().reshape(2, -1), axis=1)[:, -5:].mean(axis=1) for part in parts]
    np.testing.assert_allclose(score.numpy(), sum(largest), rtol=1e-5)
    torch.testing.assert_close(found, sum(parts))


def test_distances_are_those_to_the_nearest_good_patch():
    network = detector(anomaly__method="defects", anomaly__patches=30)
    with torch.no_grad():
        features = network.features(torch.randn(2, 3, 64, 64))
        even = (nn.functional.avg_pool2d(features, 3, 1, 1) - network.mean) / network.std
        cells = even.permute(0, 2, 3, 1).reshape(-1, even.shape[1])
        wanted = torch.cdist(cells, network.bank).amin(1).view(2, 8, 8)
        torch.testing.assert_close(network.distances(features), wanted, rtol=1e-3, atol=1e-3)


def test_the_border_counts_nowhere():
    network = detector(anomaly__border=2)
    with torch.no_grad():
        images = torch.randn(1, 3, 64, 64)
        whole = network.whole_map(network.features(images))
        score, found = network(images)
    assert whole.shape[1:] == (16, 16)
    assert torch.equal(found, whole[:, 2:14, 2:14])
    assert torch.equal(inner_map(whole, 2), found)
    assert torch.equal(top_mean(found, 5), score)


def test_the_map_is_the_mean_squared_error_of_the_pooled_features():
    network = detector()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        first, second = network.reader(images)
        small = nn.AvgPool2d(3, 1)
        wanted = torch.cat([nn.AdaptiveAvgPool2d(16)(small(part)) for part in (first, second)], 1)
        torch.testing.assert_close(network.features(images), wanted)
        torch.testing.assert_close(pooled([first, second]), wanted)
        errors = ((wanted - network.autoencoder(wanted)) ** 2).mean(1)
        torch.testing.assert_close(network.whole_map(wanted), errors)
        torch.testing.assert_close(network.loss(wanted, torch.empty(0)), errors.mean())


def test_a_level_is_the_quantile_of_each_map():
    maps = torch.arange(100.0).reshape(1, 10, 10).repeat(2, 1, 1) * torch.tensor([1.0, 2.0])[:, None, None]
    assert level(maps, 0.9).flatten().tolist() == [90.0, 180.0]
    assert level(maps, 0.5).flatten().tolist() == [50.0, 100.0]


def test_equal_values_are_counted_as_often_as_they_are_there():
    maps = torch.tensor([[[3.0, 3.0], [1.0, 3.0]]])
    assert top_mean(maps, 4).tolist() == [2.5]
    assert level(maps, 0.5).flatten().tolist() == [3.0]


def test_batch_norm_can_be_left_out():
    with_norm, without = FeatCAE(12, 4), FeatCAE(12, 4, batch_norm=False)
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in with_norm.modules()) == 4
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in without.modules())
    assert isinstance(with_norm.encoder[-1], nn.Conv2d)
    assert isinstance(with_norm.decoder[-1], nn.Conv2d)


def test_the_backbone_keeps_its_statistics_and_its_weights():
    network = detector()
    before = {key: value.clone() for key, value in network.reader.state_dict().items()}
    network.train()
    network.features(torch.randn(4, 3, 64, 64))
    assert all(torch.equal(before[key], value) for key, value in network.reader.state_dict().items())
    assert not any(parameter.requires_grad for parameter in network.reader.parameters())


@pytest.mark.parametrize(
    ("name", "channels"),
    [("resnet18", (64, 128, 256, 512)), ("mobilenet_v2", (24, 32, 96, 320))],
)
def test_layers_have_the_strides_and_channels_that_recipes_count_with(name, channels):
    layers = [f"layer{number}" for number in range(1, 5)]
    with torch.no_grad():
        maps = FeatureReader(name, layers).eval()(torch.zeros(1, 3, 64, 64))
    assert [part.shape[1] for part in maps] == list(channels)
    assert [part.shape[2] for part in maps] == [16, 8, 4, 2]


@pytest.mark.parametrize("name", ["resnet50", "wide_resnet50_2"])
def test_the_large_backbones_are_cut_after_the_last_layer_that_is_read(name):
    reader = FeatureReader(name, ["layer1", "layer2"]).eval()
    assert not any("layer3" in key or key.startswith("body.fc") for key in reader.state_dict())
    with torch.no_grad():
        assert [part.shape[1] for part in reader(torch.zeros(1, 3, 64, 64))] == [256, 512]


def test_weights_come_from_a_file_with_torchvision_s_names(tmp_path):
    torch.manual_seed(5)
    state = mobilenet_v2().state_dict()
    torch.save(state, tmp_path / "weights.pth")
    reader = build_backbone("mobilenet_v2", ["layer1"], str(tmp_path / "weights.pth"))
    loaded = reader.body.state_dict()
    assert loaded
    assert all(torch.equal(value, state[key]) for key, value in loaded.items())


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"features.0.0.weight": torch.zeros(1)}, "is missing; these are not the weights of mobilenet_v2"),
        ([1, 2], "expected a state dict of tensors, found list"),
        (None, "cannot read weights"),
    ],
)
def test_other_weights_are_refused(content, sentence, tmp_path):
    path = tmp_path / "weights.pth"
    if content is not None:
        torch.save(content, path)
    with pytest.raises(DataError, match=sentence):
        build_backbone("mobilenet_v2", ["layer1"], str(path))
