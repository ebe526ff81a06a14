"""LiteRT: names, numbers, precisions, layers in float, and what is refused."""

import logging
import sys

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from ai_edge_litert.interpreter import Interpreter
from model_helpers import seasoned
from torch import nn
from train_helpers import input_spec

from vedette_converters.child import Child
from vedette_converters.graph import Graph, clip_graph
from vedette_converters.lowering import lowered_graph
from vedette_converters.targets import tflite
from vedette_converters.targets.tflite import build, release
from vedette_edge.errors import BundleError
from vedette_edge.manifest import StateTensor

SPEC = input_spec(frames=3, height=16, width=16)


@pytest.fixture(scope="module", autouse=True)
def released():
    yield
    release()


class Tiny(nn.Module):
    """The kinds of layer that MobileNetV2-3D has, once each."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv3d(3, 8, 3, (1, 2, 2), 1)
        self.depthwise = nn.Conv3d(8, 8, 3, 1, 1, groups=8, bias=False)
        self.norm = nn.BatchNorm3d(8)
        self.point = nn.Conv3d(8, 8, 1)
        self.head = nn.Linear(8, 3)

    def forward_with_heatmap(self, clips):
        x = F.relu6(self.stem(clips))
        x = x + self.point(F.relu6(self.norm(self.depthwise(x))))
        heatmap = F.conv3d(x, self.head.weight[:, :, None, None, None])
        return self.head(x.mean(dim=(2, 3, 4))), heatmap

    def forward(self, clips):
        return self.forward_with_heatmap(clips)[0]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return seasoned(Tiny(), torch.randn(4, 3, 3, 16, 16))


@pytest.fixture(scope="module")
def graph(network):
    return lowered_graph(network, SPEC)


def feeds(count):
    rng = np.random.default_rng(1)
    return [{"clips": rng.normal(size=(1, 3, 3, 16, 16)).astype(np.float32)} for _ in range(count)]


@pytest.fixture(scope="module")
def wanted(network):
    with torch.inference_mode():
        logits, heatmap = network.forward_with_heatmap(torch.from_numpy(feeds(1)[0]["clips"]))
    return {"logits": logits.numpy(), "heatmap": heatmap.numpy()}


def content(graph, precision, keep_float=()):
    (data,) = build(graph, precision, feeds(8), keep_float).contents
    return data


@pytest.fixture(scope="module")
def files(graph):
    """One conversion for all tests: a file for each precision, and one with two layers left in float."""
    kept = content(graph, "int8", ["depthwise", "head"])
    return {"kept": kept} | {precision: content(graph, precision) for precision in ("fp32", "fp16", "int8")}


def run(data, feed):
    return Interpreter(model_content=data).get_signature_runner()(**feed)


def agreement(found, wanted):
    return {name: np.corrcoef(found[name].ravel(), wanted[name].ravel())[0, 1] for name in wanted}


def test_the_file_gives_what_pytorch_gives_under_the_names_of_the_graph(files, wanted):
    data = files["fp32"]
    assert Interpreter(model_content=data).get_signature_list() == {
        "serving_default": {"inputs": ["clips"], "outputs": ["heatmap", "logits"]}
    }
    found = run(data, feeds(1)[0])
    for name, value in wanted.items():
        assert found[name].shape == value.shape
        assert np.abs(found[name] - value).max() < 1e-5


def test_the_file_names_layers_and_nothing_of_this_machine(files):
    data = files["fp32"] + files["int8"]
    assert b"depthwise;" in data
    for trace in (b".py", b"site-packages", b"Interpreter", b"/home", b"/work", b"/root", b"/tmp"):
        assert trace not in data


def test_fp16_halves_the_weights_and_hardly_changes_the_outputs(files, wanted):
    data = files["fp16"]
    assert np.float16 in {tensor["dtype"] for tensor in Interpreter(model_content=data).get_tensor_details()}
    found = run(data, feeds(1)[0])
    for name, value in wanted.items():
        assert 0 < np.abs(found[name] - value).max() < 1e-2


def tensors(data, layer):
    """The tensors that a layer's operators give."""
    details = Interpreter(model_content=data).get_tensor_details()
    return [
        tensor
        for tensor in details
        if layer in tensor["name"].split(";")[:-1] and not tensor["name"].endswith(("_dequant", "_quantized"))
    ]


def test_int8_takes_and_gives_floats_and_agrees(files, wanted):
    data = files["int8"]
    runner = Interpreter(model_content=data).get_signature_runner()
    details = [*runner.get_input_details().values(), *runner.get_output_details().values()]
    assert {tensor["dtype"] for tensor in details} == {np.float32}
    assert {tensor["dtype"] for tensor in tensors(data, "depthwise")} == {np.int8}
    assert min(agreement(run(data, feeds(1)[0]), wanted).values()) > 0.99


def test_int8_gives_all_frames_of_a_layer_one_scale(files):
    given = tensors(files["int8"], "point")
    assert len(given) >= SPEC.frames
    assert len({tensor["quantization"] for tensor in given}) == 1


def test_layers_that_are_kept_in_float_are_float_and_the_others_are_not(files, wanted):
    assert {tensor["dtype"] for tensor in tensors(files["kept"], "depthwise")} == {np.float32}
    assert {tensor["dtype"] for tensor in tensors(files["kept"], "point")} == {np.int8}
    error = {
        name: np.abs(run(files[name], feeds(1)[0])["logits"] - wanted["logits"]).max()
        for name in ("int8", "kept")
    }
    assert error["kept"] < error["int8"]


@pytest.mark.slow
def test_another_conversion_gives_the_same_bytes_and_says_nothing(network, files, capfd, caplog):
    again = lowered_graph(network, SPEC)
    assert content(again, "fp32") == files["fp32"]
    assert content(again, "int8") == files["int8"]
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


class Delayed(nn.Module):
    """A stream of one layer: what comes out is this frame's map and half of the last one's."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, frame, layer_first):
        now = self.layer(frame[:, :, 0])
        total = now + layer_first
        return total.mean(dim=(2, 3)), total.unsqueeze(2), now / 2


def test_the_state_of_a_stream_lies_as_litert_computes_and_says_so():
    torch.manual_seed(0)
    module = Delayed().eval()
    examples = {"frame": torch.zeros(1, 3, 1, 6, 8), "layer_first": torch.zeros(1, 4, 6, 8)}
    state = (StateTensor(name="layer_first", shape=(1, 4, 6, 8), dtype="float32"),)
    model = build(Graph(module, "stream", examples, state, lowered=True), "fp32", [], ())
    assert model.state == (StateTensor(name="layer_first", shape=(1, 6, 8, 4), dtype="float32"),)
    runner = Interpreter(model_content=model.contents[0]).get_signature_runner()
    carried, held = torch.zeros(1, 4, 6, 8), np.zeros((1, 6, 8, 4), np.float32)
    for frame in torch.randn(3, 1, 3, 1, 6, 8):
        with torch.inference_mode():
            logits, heatmap, carried = module(frame, carried)
        found = runner(frame=frame.numpy(), layer_first=held)
        held = found["next_layer_first"]
        assert np.abs(found["logits"] - logits.numpy()).max() < 1e-5
        assert np.abs(found["heatmap"] - heatmap.numpy()).max() < 1e-5


def test_a_graph_with_3d_operators_is_refused_with_the_layer(network):
    with pytest.raises(BundleError, match="layer 'stem' of this network needs conv3d: lower the network"):
        build(clip_graph(network, SPEC), "fp32", [], ())


class Unwritable(nn.Module):
    """Has an operator that LiteRT lacks."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 1)

    def forward(self, clips):
        heatmap = self.layer(clips[:, :, 0])
        return torch.linalg.svdvals(heatmap).sum(dim=2), heatmap


def test_litert_s_converter_stays_out_of_this_process(files):
    assert files
    assert not {"jax", "litert_torch"} & set(sys.modules)


def test_a_converter_that_dies_is_a_sentence(graph, monkeypatch):
    monkeypatch.setattr(tflite, "_write", lambda *_: Child("os:abort")())
    with pytest.raises(BundleError, match=r"^LiteRT's converter fails .* died, code -6.*; choose another"):
        build(graph, "fp32", [], ())


def test_an_operator_that_litert_lacks_is_named_with_where_it_stands():
    graph = Graph(Unwritable().eval(), "clip", {"clips": torch.zeros(1, 3, 1, 8, 8)}, lowered=True)
    with pytest.raises(BundleError, match="no operator linalg_svd, which what follows layer 'layer'"):
        build(graph, "fp32", [], ())


class Headed(nn.Module):
    """A layer, and a head that normalises each picture by itself."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Sequential(nn.Conv2d(4, 4, 1), nn.InstanceNorm2d(4, affine=True), nn.Conv2d(4, 2, 1))

    def forward(self, clips):
        heatmap = self.head(torch.relu(self.stem(clips[:, :, 0])))
        return heatmap.mean(dim=(2, 3)), heatmap.unsqueeze(2)


def test_what_stands_between_layers_that_are_kept_in_float_is_float_too():
    torch.manual_seed(0)
    graph = Graph(Headed().eval(), "clip", {"clips": torch.zeros(1, 3, 1, 8, 8)}, lowered=True)
    clip = torch.randn(1, 3, 1, 8, 8)
    with torch.inference_mode():
        wanted = graph.module(clip)[1].numpy()
    error = {}
    for kept in ((), ("head",)):
        (data,) = build(graph, "int8", [{"clips": clip.numpy()}], kept).contents
        details = Interpreter(model_content=data).get_tensor_details()
        rounded = {layer for layer in ("stem", "head.2") for one in details
                   if one["dtype"] == np.int8 and layer in one["name"].split(";")[:-1]}  # fmt: skip
        assert rounded == ({"stem"} if kept else {"stem", "head.2"})
        error[kept] = np.abs(run(data, {"clips": clip.numpy()})["heatmap"] - wanted).max()
    assert error[("head",)] < error[()]


class Undecided(nn.Module):
    """Depends on values, so it cannot be traced."""

    def forward(self, clips):
        return (clips, clips) if clips.sum() > 0 else (clips, -clips)


def test_a_network_that_cannot_be_traced_is_refused_in_one_line():
    graph = Graph(Undecided(), "clip", {"clips": torch.zeros(1, 3, 1, 8, 8)}, lowered=True)
    with pytest.raises(BundleError, match=r"^this network cannot be traced for LiteRT: [^\n]+$"):
        build(graph, "fp32", [], ())
