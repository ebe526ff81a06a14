"""The real ImageNet weights at hand fit our network."""

from pathlib import Path

import pytest
import torch

from vedette_train.models.inflate import inflate, load_imagenet_weights
from vedette_train.models.mobilenet_v2_3d import MODES, MobileNetV2_3d

WEIGHTS = Path(__file__).parents[3] / "shared" / "data" / "weights" / "mobilenet_v2_imagenet_dequantised.pth"


@pytest.mark.realdata
@pytest.mark.parametrize("mode", MODES)
def test_imagenet_weights_inflate_and_tell_pictures_apart(mode):
    if not WEIGHTS.is_file():
        pytest.skip(f"no weights at {WEIGHTS}")
    network = MobileNetV2_3d(2, mode=mode).eval()
    inflate(network, load_imagenet_weights(str(WEIGHTS)))
    clips = torch.randn(2, 3, 4, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        features = network.features(clips)
    assert torch.isfinite(features).all()
    assert (features[0] - features[1]).abs().max() > 0.1
