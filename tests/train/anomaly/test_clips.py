"""A detector as the converters see it: the same score and map, its cells where the pictures show them."""

import numpy as np
import pytest
import torch
from anomaly_helpers import KINDS, tiny_anomaly, untrained_detector

from vedette_edge.manifest import OutputSpec
from vedette_edge.preprocess import cell_region, seen_region
from vedette_train.anomaly.clips import ClipDetector
from vedette_train.anomaly.evaluate import judge_image


def clip_detector(**changes):
    return ClipDetector(untrained_detector(**changes), tiny_anomaly(**changes).stride).eval()


@pytest.mark.parametrize("changes", KINDS.values())
def test_score_and_map_are_the_detector_s(changes):
    network, clips = clip_detector(**changes), torch.randn(2, 3, 1, 64, 64)
    with torch.inference_mode():
        scores, maps = network.detector(clips[:, :, 0])
        logits, heatmap = network.forward_with_heatmap(clips)
        assert torch.equal(logits, scores[:, None])
        assert torch.equal(heatmap, maps[:, None, None])
        assert torch.equal(network(clips), logits)


@pytest.mark.parametrize(
    ("crop", "changes"),
    [("stretch", {}), ("letterbox", {"anomaly__border": 2}), ("center", {"anomaly__method": "defects"})],
)
def test_the_cells_lie_where_the_pictures_of_the_training_room_show_them(crop, changes):
    recipe = tiny_anomaly(data__input__crop=crop, **changes)
    network = clip_detector(data__input__crop=crop, **changes)
    judged = judge_image(network.detector, np.zeros((50, 80, 3), np.uint8), recipe)
    outputs = OutputSpec(logits=(1,), heatmap=(1, 1, *judged.map.shape), cells=network.heatmap_cells)
    found = cell_region(seen_region(80, 50, recipe.spec), recipe.spec, outputs)
    np.testing.assert_allclose(
        (found.x, found.y, found.w, found.h),
        (judged.region.x, judged.region.y, judged.region.w, judged.region.h),
    )


@pytest.mark.parametrize("method", ["featcae", "defects"])
@pytest.mark.parametrize(("x", "y"), [(20, 44), (34, 30), (46, 22)])
def test_a_bright_spot_changes_the_cell_that_lies_over_it(method, x, y):
    network = clip_detector(anomaly__method=method, backbone__layers=["layer1"])
    clips = torch.zeros(2, 3, 1, 64, 64)
    clips[1, :, :, y - 2 : y + 2, x - 2 : x + 2] = 4.0
    with torch.inference_mode():
        plain, spotted = network.forward_with_heatmap(clips)[1][:, 0, 0]
    change = (spotted - plain).square()
    cells, rows, columns = network.heatmap_cells, *np.indices(change.shape)
    share = (change / change.sum()).numpy()
    found = [cells.first + cells.stride * float((share * place).sum()) for place in (columns, rows)]
    assert found == pytest.approx([x, y], abs=cells.stride)
