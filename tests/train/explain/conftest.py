from __future__ import annotations

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import pytest
import torch
from train_helpers import LABELS, tiny_recipe

from vedette_train.models.mobilenet_v2_3d import MobileNetV2_3d
from vedette_train.runs import RunInfo, Sample, build_network, open_run, save_start, save_weights


def awaken(network, clips):
    """Give a network statistics that fit its weights, so that clips and places differ."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.momentum = 1.0
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)  # some begin at zero
    torch.nn.init.normal_(network.head.weight, 0, 0.1)
    with torch.no_grad():
        network.train()(clips)
    return network.eval()


@pytest.fixture(scope="session")
def network():
    """A MobileNetV2-3D of three classes with life in all its layers; no test may change it."""
    torch.manual_seed(1)
    return awaken(
        MobileNetV2_3d(3, width_mult=0.25, mode="high_temporal", dropout=0.5), torch.randn(4, 3, 4, 64, 96)
    )


@pytest.fixture(scope="session")
def new_run(tmp_path_factory, data):
    """Make a run that was never trained, of any recipe, over the session's dataset."""

    def make(samples=(), **changes):
        torch.manual_seed(2)
        recipe = tiny_recipe(**changes)
        info = RunInfo(
            labels=LABELS,
            data_root=str(data),
            dataset="none",
            train=(),
            val=tuple(Sample(name=name, label=label, group=group) for name, label, group in samples),
            unreadable={},
            versions={},
        )
        directory = tmp_path_factory.mktemp("runs") / "run"
        spec = recipe.data.input
        clips = torch.randn(4, spec.channels, spec.frames, spec.height, spec.width)
        save_start(directory, recipe, info)
        save_weights(directory, awaken(build_network(recipe, len(LABELS)), clips))
        return open_run(directory)

    return make


@pytest.fixture(scope="session")
def run(new_run):
    """A run of the tiny recipe that was never trained; no test may change it."""
    return new_run()
