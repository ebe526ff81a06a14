"""Weights of a 2D network in a 3D one: the same function, frame by frame."""

from copy import deepcopy

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import pytest
import torch
from torchvision.models import mobilenet_v2

from vedette_edge.errors import DataError
from vedette_train.models.inflate import inflate, load_imagenet_weights
from vedette_train.models.mobilenet_v2_3d import MobileNetV2_3d


@pytest.fixture(scope="module")
def flat():
    """A 2D network with random weights; its statistics fit them, so that pictures make a difference."""
    torch.manual_seed(0)
    network = mobilenet_v2()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.3, 0.3)
    with torch.no_grad():
        network.train()(torch.randn(8, 3, 64, 32))
    return network.eval()


def inflated(flat, mode):
    network = MobileNetV2_3d(2, mode=mode).eval()
    inflate(network, flat.state_dict())
    return network.double()


@pytest.mark.parametrize("mode", ["high_temporal", "causal"])
def test_without_time_strides_each_frame_is_seen_as_the_2d_network_sees_it(flat, mode):
    clip = torch.randn(1, 3, 3, 64, 32).double()
    with torch.inference_mode():
        deep = inflated(flat, mode).features(clip)[0].transpose(0, 1)
        wanted = deepcopy(flat).double().features(clip[0].transpose(0, 1))
    assert (deep - wanted).abs().max() < 1e-9
    assert (deep[0] - deep[1]).abs().max() > 0.1


def test_with_time_strides_a_still_clip_is_seen_as_the_2d_network_sees_its_picture(flat):
    picture = torch.randn(1, 3, 64, 32).double()
    clip = picture[:, :, None].expand(-1, -1, 32, -1, -1)
    with torch.inference_mode():
        deep, wanted = inflated(flat, "standard").features(clip), deepcopy(flat).double().features(picture)
    assert deep.shape[2] == 2
    # The first of the two sees the padding before the clip, the second only the clip.
    assert (deep[:, :, 1] - wanted).abs().max() < 1e-9
    assert (deep[:, :, 0] - wanted).abs().max() > 0.1


def test_the_classifier_keeps_its_own_weights(flat):
    network = MobileNetV2_3d(2)
    before = network.head.weight.clone()
    inflate(network, flat.state_dict())
    assert torch.equal(network.head.weight, before)


def test_another_width_is_refused_with_the_first_layer_that_differs(flat):
    with pytest.raises(DataError, match=r"features\.0\.0: weights are \(32, 3, 3, 3\).*width_mult 1\.0 only"):
        inflate(MobileNetV2_3d(2, width_mult=0.5), flat.state_dict())


def without(state, key):
    return {name: value for name, value in state.items() if name != key}


def renamed(state, old, new):
    return {new if name == old else name: value for name, value in state.items()}


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda _: {}, "the weights have 0 layers, the network 104"),
        (lambda state: without(state, "features.0.0.weight"), "the weights have 103 layers"),
        (lambda state: without(state, "features.0.1.bias"), r"features\.0\.1\.bias: missing"),
        (
            lambda state: renamed(state, "features.0.0.weight", "features.0.0.bias"),
            r"features\.0\.0: not a convolution",
        ),
        (
            lambda state: state | {"features.0.0.weight": state["features.0.1.weight"]},
            r"features\.0\.0: not a convolution",
        ),
        (
            lambda state: state | {"features.0.1.weight": torch.ones(7)},
            r"features\.0\.1\.weight: missing or of another shape than \(32,\)",
        ),
    ],
)
def test_weights_of_another_network_are_refused(flat, spoil, sentence):
    with pytest.raises(DataError, match=sentence):
        inflate(MobileNetV2_3d(2), spoil(dict(flat.state_dict())))


def test_a_file_of_weights_is_read_back(flat, tmp_path):
    torch.save(flat.state_dict(), tmp_path / "weights.pth")
    found = load_imagenet_weights(str(tmp_path / "weights.pth"))
    assert list(found) == list(flat.state_dict())


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "cannot read weights"), (b"text", "cannot read weights"), ([1, 2], "expected a state dict")],
    ids=["missing", "not a torch file", "not a state dict"],
)
def test_a_wrong_file_is_an_error_that_names_it(content, sentence, tmp_path):
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(DataError, match=sentence) as caught:
        load_imagenet_weights(str(path))
    assert str(path) in str(caught.value)


def test_without_a_network_the_download_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(DataError, match=r"--set init\.weights=FILE"):
        load_imagenet_weights("torchvision")
