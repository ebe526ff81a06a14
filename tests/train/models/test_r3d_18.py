"""torchvision's 3D ResNet under our interface."""

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import pytest
import torch
from model_helpers import all_paths_count, hires_cam, looks_at, seasoned
from torchvision.models.video import r3d_18

from vedette_edge.errors import DataError
from vedette_train.models import create_model


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return seasoned(create_model("r3d_18", num_classes=3), torch.randn(2, 3, 4, 32, 48))


@pytest.fixture(scope="module")
def original():
    torch.manual_seed(1)
    return r3d_18(weights=None).eval()


def test_it_has_the_parameters_of_the_original_with_another_head(original):
    with torch.device("meta"):
        count = sum(p.numel() for p in create_model("r3d_18", num_classes=17).parameters())
    assert count == 33_174_993
    assert count == sum(p.numel() for p in original.parameters()) - 513 * 400 + 513 * 17


def test_the_map_is_hires_cam_as_computed_with_gradients(network):
    clip = torch.randn(1, 3, 4, 32, 48)
    features = network.features(clip).detach().requires_grad_()
    wanted = hires_cam(network.head(features.mean(dim=(2, 3, 4))), features)
    with torch.inference_mode():
        logits, heatmap = network.forward_with_heatmap(clip)
        assert torch.allclose(logits, network(clip), atol=1e-4)
    assert wanted.abs().max() > 0.1
    assert torch.allclose(heatmap, wanted, atol=1e-3)


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 20, 40), (16, 32, 32)])
def test_any_length_and_size_will_do(network, shape):
    with torch.inference_mode():
        _, heatmap = network.forward_with_heatmap(torch.zeros(1, 3, *shape))
    assert heatmap.shape == (1, 3, -(-shape[0] // 8), -(-shape[1] // 16), -(-shape[2] // 16))


def test_torchvisions_weights_fit_and_the_head_stays_its_own(original, tmp_path):
    torch.save(original.state_dict(), tmp_path / "r3d.pth")
    network = create_model("r3d_18", num_classes=3).eval()
    head = network.head.weight.clone()
    network.load_pretrained(str(tmp_path / "r3d.pth"))
    clip = torch.randn(1, 3, 4, 32, 32)
    with torch.inference_mode():
        wanted = original.layer4(original.layer3(original.layer2(original.layer1(original.stem(clip)))))
        assert torch.equal(network.features(clip), wanted)
    assert torch.equal(network.head.weight, head)


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save({"stem.0.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(
        DataError, match=r"stem\.0\.weight is missing or of another shape than \(64, 3, 3, 7, 7\)"
    ):
        create_model("r3d_18", num_classes=2).load_pretrained(str(tmp_path / "other.pth"))


def test_without_a_network_the_download_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with torch.device("meta"):
        network = create_model("r3d_18", num_classes=2)
    with pytest.raises(DataError, match=r"--set init\.weights=FILE"):
        network.load_pretrained("torchvision")


def test_a_cell_of_the_heatmap_speaks_of_the_pixels_that_it_says():
    network = all_paths_count(create_model("r3d_18", num_classes=1))
    cells = network.heatmap_cells
    side = 15 * int(cells.stride)
    x, y = looks_at(network.features, torch.ones(1, 3, 1, side, side), 7, 8)
    assert x == pytest.approx(cells.first + 8 * cells.stride, abs=1.0)
    assert y == pytest.approx(cells.first + 7 * cells.stride, abs=1.0)
