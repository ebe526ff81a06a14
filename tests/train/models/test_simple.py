"""The small networks: sizes, how time enters, and maps that are HiResCAM."""

import pytest
import torch
from model_helpers import all_paths_count, hires_cam, looks_at, seasoned

from vedette_train.models import create_model

NAMES = ("per_frame_2d", "early_fusion_2d", "simple_3d", "late_fusion")
FRAMES = 4


def network(name, classes=3, **arguments):
    torch.manual_seed(0)
    built = create_model(name, num_classes=classes, **arguments)
    return seasoned(built, torch.randn(6, 3, FRAMES, 16, 24))


def frames_of(name):
    return {"frames": FRAMES} if name == "early_fusion_2d" else {}


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("per_frame_2d", 96_298),
        ("2d_per_frame_avg", 96_298),
        ("early_fusion_2d", 117_898),
        ("simple_3d", 285_418),
        ("3d", 285_418),
        ("late_fusion", 570_836),
    ],
)
def test_they_have_the_parameters_of_the_originals(name, parameters):
    built = create_model(name, num_classes=10)
    assert sum(parameter.numel() for parameter in built.parameters()) == parameters


def judged(built, clips):
    """Return the logits and the last feature maps, (N, C, T', H', W'), through which they came."""
    if hasattr(built, "_frames"):
        features = built._frames(clips).detach().requires_grad_()
        logits = built.head(features.mean(dim=(3, 4)).transpose(1, 2))
        return (logits.amax(dim=1) if built.aggregation == "max" else logits.mean(dim=1)), features
    if hasattr(built, "_picture"):
        features = built._picture(clips).unsqueeze(2).detach().requires_grad_()
    else:
        features = built.features(clips).detach().requires_grad_()
    return built.head(features.mean(dim=(2, 3, 4))), features


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("per_frame_2d", {"aggregation": "mean"}),
        ("per_frame_2d", {"aggregation": "max"}),
        ("early_fusion_2d", {"frames": FRAMES}),
        ("simple_3d", {}),
    ],
)
def test_the_map_is_hires_cam_as_computed_with_gradients(name, arguments):
    built, clips = network(name, **arguments), torch.randn(2, 3, FRAMES, 16, 24)
    logits, heatmap = built.forward_with_heatmap(clips)
    wanted = hires_cam(*judged(built, clips))
    assert wanted.abs().max() > 0.1
    assert torch.allclose(heatmap, wanted, atol=1e-4)
    assert torch.allclose(logits, built(clips), atol=1e-5)
    assert torch.allclose(heatmap.mean(dim=(2, 3, 4)) + built.head.bias, logits, atol=1e-4)


def test_with_the_maximum_only_the_loudest_frame_of_each_class_has_a_map():
    built, clips = network("per_frame_2d", aggregation="max"), torch.randn(1, 3, FRAMES, 16, 24)
    _, heatmap = built.forward_with_heatmap(clips)
    alone = torch.cat([built(clips[:, :, frame : frame + 1]) for frame in range(FRAMES)])
    for label in range(3):
        loud = heatmap[0, label].abs().sum(dim=(1, 2)) > 1e-6
        assert loud.nonzero().flatten().tolist() == [int(alone[:, label].argmax())]


def test_frames_that_say_the_same_share_the_maximum():
    built = network("per_frame_2d", aggregation="max")
    still = torch.randn(1, 3, 1, 16, 24).expand(-1, -1, FRAMES, -1, -1)
    _, heatmap = built.forward_with_heatmap(still)
    assert torch.allclose(heatmap, heatmap[:, :, :1].expand_as(heatmap), atol=1e-4)
    assert heatmap.abs().max() > 0.1


@pytest.mark.parametrize("aggregation", ["mean", "max"])
def test_late_fusion_takes_the_map_of_who_is_heard(aggregation):
    built, clips = network("late_fusion", aggregation=aggregation), torch.randn(4, 3, FRAMES, 16, 24)
    with torch.no_grad():
        for member in built.members:  # so that either is heard now and then
            member.head.bias -= member(clips).mean(dim=0)
    logits, heatmap = built.forward_with_heatmap(clips)
    (first, map_1), (second, map_2) = (member.forward_with_heatmap(clips) for member in built.members)
    if aggregation == "mean":
        wanted, wanted_map = (first + second) / 2, (map_1 + map_2) / 2
    else:
        wanted = torch.maximum(first, second)
        wanted_map = torch.where((first > second)[..., None, None, None], map_1, map_2)
    assert (first > second).any()
    assert (first < second).any()
    assert torch.allclose(logits, wanted, atol=1e-6)
    assert torch.allclose(built(clips), wanted, atol=1e-5)
    assert torch.allclose(heatmap, wanted_map, atol=1e-5)


def test_each_frame_counts_by_itself_in_the_per_frame_network():
    built, clips = network("per_frame_2d"), torch.randn(1, 3, FRAMES, 16, 24)
    assert torch.allclose(built(clips), built(clips.flip(2)), atol=1e-5)


@pytest.mark.parametrize("name", ["early_fusion_2d", "simple_3d", "late_fusion"])
def test_the_others_see_the_order_of_the_frames(name):
    built, clips = network(name, **frames_of(name)), torch.randn(1, 3, FRAMES, 16, 24)
    assert (built(clips) - built(clips.flip(2))).abs().max() > 1e-2


@pytest.mark.parametrize("name", NAMES)
def test_a_cell_of_the_heatmap_speaks_of_the_pixels_that_it_says(name):
    built = all_paths_count(create_model(name, num_classes=1, **frames_of(name)))
    cells = built.heatmap_cells
    x, y = looks_at(lambda clip: built.forward_with_heatmap(clip)[1], torch.ones(1, 3, 4, 64, 64), 8, 6)
    assert x == pytest.approx(cells.first + 6 * cells.stride, abs=0.01)
    assert y == pytest.approx(cells.first + 8 * cells.stride, abs=0.01)


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("per_frame_2d", {"aggregation": "sum"}, "unknown aggregation 'sum', expected one of: mean, max"),
        ("late_fusion", {"aggregation": "sum"}, "unknown aggregation 'sum'"),
        ("simple_3d", {"frames": 1}, "frames must be >= 2"),
        ("early_fusion_2d", {"frames": 0}, "frames must be >= 1"),
    ],
)
def test_what_cannot_be_built_is_an_error(name, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        create_model(name, num_classes=2, **arguments)


def test_early_fusion_takes_no_other_number_of_frames():
    with pytest.raises(ValueError, match="built for 4 frames, the clips have 5"):
        network("early_fusion_2d", frames=4)(torch.zeros(1, 3, 5, 16, 16))
