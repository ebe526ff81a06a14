"""Training clips before and after their random changes."""

import cv2
import numpy as np
import pytest
import torch
from train_helpers import input_spec, tiny_recipe

from vedette_edge.preprocess import to_tensor
from vedette_edge.video import read_frames
from vedette_train.data.clips import larger
from vedette_train.data.folder import scan
from vedette_train.data.frames import prepare_frames
from vedette_train.explain.preview import clip_pairs, clip_pictures, flow_colours, write_debug_videos


@pytest.fixture
def videos(data, cache):
    return prepare_frames(scan(data).videos, larger(input_spec()), cache)[0]


def test_each_clip_becomes_a_pair_of_videos_and_a_row_of_a_sheet(videos, cache, tmp_path):
    recipe = tiny_recipe(augment__hflip=1.0, augment__crop_area=[1.0, 1.0], augment__crop_ratio=[1.0, 1.0])
    before = torch.get_rng_state()
    assert write_debug_videos(recipe, videos, cache, tmp_path / "out", 3) == 3
    assert torch.equal(torch.get_rng_state(), before)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "sheet.png",
        *(
            f"vid_{name}_idx{i}_{kind}.mp4"
            for i, name in enumerate(("left_0", "right_0", "left_1"))
            for kind in ("orig", "aug")
        ),
    }
    original, changed = (
        [frame.image for frame in read_frames(tmp_path / "out" / f"vid_left_0_idx0_{kind}.mp4")]
        for kind in ("orig", "aug")
    )
    assert len(original) == len(changed) == 4
    capture = cv2.VideoCapture(str(tmp_path / "out" / "vid_left_0_idx0_orig.mp4"))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10.0)
    assert original[0].shape == (224, 448, 3)
    white = [
        [np.nonzero((frame > 200).all(axis=2))[1].mean() for frame in film] for film in (original, changed)
    ]
    # The same window, mirrored: where the square is here, it is as far from the other side there.
    assert np.add(*white) == pytest.approx([447] * 4, abs=12)
    assert white[0] == sorted(white[0], reverse=True)


class Draws(torch.utils.data.Dataset):
    """Draws a number as its window, and then some more."""

    def __init__(self, more):
        self.more = more

    def __len__(self):
        return 5

    def __getitem__(self, index):
        window = torch.randint(1000, (1,)).float()
        torch.rand(self.more)
        return window + index, 0


def test_both_of_a_pair_draw_the_same_window():
    pairs = clip_pairs(Draws(0), Draws(7), seed=3)
    assert all(first == second for first, second in pairs)
    assert len({float(first[0]) for first, _ in pairs}) == 5


@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_the_normalisation_is_undone(color):
    spec = input_spec(color=color, height=200, width=240)
    frames = np.random.default_rng(0).integers(0, 256, (4, 200, 240, 3), dtype=np.uint8)
    for found, frame in zip(clip_pictures(to_tensor(list(frames), spec)[0], spec), frames, strict=True):
        assert np.array_equal(found, frame[..., ::-1] if color == "rgb" else frame)


def test_differences_lie_around_grey():
    spec = input_spec(temporal="difference")
    frames = [np.full((32, 64, 3), value, np.uint8) for value in (10, 10, 60, 0)]
    found = [int(picture[0, 0, 0]) for picture in clip_pictures(to_tensor(frames, spec)[0], spec)]
    assert found == pytest.approx([128, 128, 178, 68], abs=1)


@pytest.mark.parametrize(("magnitude", "channels"), [(False, 2), (True, 3)])
def test_flow_stands_beside_the_pictures(magnitude, channels):
    spec = input_spec(streams="rgb+flow", flow={"magnitude": magnitude}, height=32, width=64)
    clip = np.zeros((3 + channels, 4, 32, 64), np.float32)
    clip[3] = 1.0
    pictures = clip_pictures(clip, spec)
    assert {picture.shape for picture in pictures} == {(224, 896, 3)}
    assert pictures[0][100, 700].tolist() == [0, 0, 255]
    only = clip_pictures(
        clip[3:], input_spec(streams="flow", flow={"magnitude": magnitude}, height=33, width=65)
    )
    assert only[0].shape == (224, 448, 3)


@pytest.mark.parametrize(
    ("x", "y", "colour"),
    [(1, 0, (0, 0, 255)), (-1, 0, (255, 255, 0)), (0, 0, (0, 0, 0)), (0.25, 0, (0, 0, 127))],
)
def test_flow_has_a_hue_for_its_direction_and_is_brighter_the_faster(x, y, colour):
    field = np.empty((2, 3, 2), np.float32)
    field[:] = x, y
    assert np.abs(flow_colours(field)[1, 1].astype(int) - colour).max() <= 2
