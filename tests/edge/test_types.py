from __future__ import annotations

import numpy as np
import pytest

from vedette_edge.types import Box, Frame, Outputs


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8)]
)
def test_a_frame_is_a_colour_picture(image):
    with pytest.raises(ValueError, match=r"\(H, W, 3\) uint8"):
        Frame(image, 0.0)


def test_outputs_must_belong_together():
    logits, heatmap = np.zeros((1, 2), np.float32), np.zeros((1, 2, 1, 3, 3), np.float32)
    Outputs(logits, heatmap)
    with pytest.raises(ValueError, match="expected logits"):
        Outputs(logits[0], heatmap)
    with pytest.raises(ValueError, match="disagree"):
        Outputs(logits[:, :1], heatmap)


def test_a_box_contains_its_edges_and_grows_only_within_the_picture():
    box = Box(0.5, 0.5, 0.5, 0.25)
    assert box.contains(0.5, 0.75)
    assert not box.contains(0.49, 0.6)
    assert box.grown(0.5) == Box(0.0, 0.0, 1.0, 1.0)
