"""The exported graph gives the logits, and the very HiResCAM that gradients give."""

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import numpy as np
import onnx
import pytest
import torch
from pytorch_grad_cam import HiResCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from scipy.ndimage import zoom
from train_helpers import input_spec

from vedette_converters.graph import clip_graph
from vedette_converters.targets.onnx import to_onnx
from vedette_edge.errors import BundleError
from vedette_edge.runtimes.onnx import OnnxSession
from vedette_train.models.mobilenet_v2_3d import MODES, MobileNetV2_3d

SPEC = input_spec(height=64, width=96)
CLASSES = 3


@pytest.fixture(scope="module", params=MODES)
def exported(request):
    """A network whose statistics fit its weights, so that clips and places differ, and its ONNX file."""
    torch.manual_seed(1)
    network = MobileNetV2_3d(CLASSES, width_mult=0.25, mode=request.param, dropout=0.5)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.momentum = 1.0
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)  # some begin at zero
    torch.nn.init.normal_(network.head.weight, 0, 0.1)
    torch.nn.init.normal_(network.head.bias)
    with torch.no_grad():
        network.train()(torch.randn(4, 3, SPEC.frames, SPEC.height, SPEC.width))
    network.eval()
    return network, to_onnx(clip_graph(network, SPEC))


@pytest.fixture
def clip():
    generator = torch.Generator().manual_seed(5)
    return torch.randn(1, 3, SPEC.frames, SPEC.height, SPEC.width, generator=generator)


def hires_cam(network, clip, label):
    """ReLU(sum_c dy/dA_c * A_c) by autograd, with y the logit and A the last convolution: (T', H', W')."""
    features = network.features(clip).detach().requires_grad_()
    logit = network.classifier(features.mean(dim=(2, 3, 4)))[0, label]
    (gradient,) = torch.autograd.grad(logit, features)
    return torch.relu((gradient * features).sum(dim=1))[0].detach().numpy()


@pytest.mark.parametrize("label", range(CLASSES))
def test_the_heatmap_is_hires_cam_as_computed_with_gradients(exported, clip, label):
    network, file = exported
    found = OnnxSession(file.contents[0]).run(clip.numpy()).heatmap[0, label]
    wanted = hires_cam(network, clip, label) * found.size  # by T' H' W', as the manifest says
    assert wanted.max() > 0.01
    assert np.abs(np.maximum(found, 0) - wanted).max() < 1e-4


@pytest.mark.parametrize("label", range(CLASSES))
def test_the_heatmap_is_hires_cam_of_the_reference_package(exported, clip, label):
    network, file = exported
    with HiResCAM(model=network, target_layers=[network.features[-1]]) as cam:
        reference = cam(input_tensor=clip, targets=[ClassifierOutputTarget(label)])[0]
    found = np.maximum(OnnxSession(file.contents[0]).run(clip.numpy()).heatmap[0, label], 0)
    # The package stretches a map to 0..1, enlarges it by cubic splines, cuts below 0, and stretches again.
    stretched = (found - found.min()) / (found - found.min()).max()
    enlarged = np.maximum(zoom(stretched, np.divide(clip.shape[2:], stretched.shape)), 0)
    wanted = (enlarged - enlarged.min()) / (enlarged - enlarged.min()).max()
    assert reference.shape == wanted.shape == tuple(clip.shape[2:])
    assert wanted.std() > 0.01
    assert np.abs(reference - wanted).max() < 1e-4


def test_the_logits_are_the_mean_of_the_heatmap_and_those_of_pytorch(exported, clip):
    network, file = exported
    found = OnnxSession(file.contents[0]).run(clip.numpy())
    bias = network.head.bias.detach().numpy()
    assert np.abs(found.heatmap.mean(axis=(2, 3, 4)) + bias - found.logits).max() < 1e-5
    with torch.inference_mode():
        assert np.abs(network(clip).numpy() - found.logits).max() < 1e-4


@pytest.mark.parametrize("batch", [1, 3])
def test_the_batch_is_free(exported, batch):
    _, file = exported
    clips = np.random.default_rng(0).normal(size=(batch, 3, SPEC.frames, SPEC.height, SPEC.width))
    session = OnnxSession(file.contents[0])
    found = session.run(clips.astype(np.float32))
    assert found.logits.shape == (batch, CLASSES)
    alone = session.run(clips[-1:].astype(np.float32))
    assert np.abs(found.heatmap[-1:] - alone.heatmap).max() < 1e-4


def test_the_file_is_whole_and_tells_nothing_of_the_machine(exported, tmp_path):
    _, file = exported
    model = onnx.load_model_from_string(file.contents[0])
    assert [value.name for value in model.graph.input] == ["clips"]
    assert [value.name for value in model.graph.output] == ["logits", "heatmap"]
    assert {tensor.data_location for tensor in model.graph.initializer} == {onnx.TensorProto.DEFAULT}
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    assert file.opset == next(entry.version for entry in model.opset_import if not entry.domain)
    for trace in (b'File "', b".py", b"site-packages", b"/work", b"/home", b"/root", str(tmp_path).encode()):
        assert trace not in file.contents[0]
    assert not model.metadata_props
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)


class NoMap(torch.nn.Module):
    """A network with a step that no exporter can follow."""

    def forward_with_heatmap(self, x):
        flat = x.mean(dim=1)
        if float(flat.sum()) > 0:  # depends on values
            return flat, flat
        return flat, flat + 1


def test_a_network_that_cannot_be_written_is_refused_with_the_reason():
    with pytest.raises(BundleError, match=r"this network cannot be written as ONNX: .+"):
        to_onnx(clip_graph(NoMap(), SPEC))
