from __future__ import annotations

import math

import pytest
import torch

from vedette_edge.manifest import Cells
from vedette_train.losses import distillation, evidence_in_quiet_places, symmetric_divergence
from vedette_train.models.mobilenet_v2_3d import PADDINGS, MobileNetV2_3d

CELLS = Cells(stride=8.0, first=0.5)
LABELS = torch.tensor([1])


def clip_with_action_at(row, column):
    """Return a clip of 24x32 pixels, 3x4 cells, in which only the place of one cell changes."""
    clip = torch.zeros(1, 3, 2, 24, 32)
    top, left = max(0, 8 * row - 2), max(0, 8 * column - 2)
    clip[..., top : 8 * row + 3, left : 8 * column + 3] = 1.0
    return clip


def map_with_evidence_at(row, column):
    heatmap = torch.zeros(1, 2, 1, 3, 4)
    heatmap[0, 1, 0, row, column] = 30.0
    return heatmap


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 2), (2, 3)])
def test_evidence_where_something_happens_costs_nothing(row, column):
    clip, heatmap = clip_with_action_at(row, column), map_with_evidence_at(row, column)
    assert evidence_in_quiet_places(clip, heatmap, LABELS, CELLS) < 1e-3


def test_evidence_far_from_it_costs_the_most():
    cost = evidence_in_quiet_places(clip_with_action_at(2, 3), map_with_evidence_at(0, 0), LABELS, CELLS)
    assert cost > 0.99


def test_only_the_evidence_for_the_true_class_counts():
    clip, heatmap = clip_with_action_at(2, 3), map_with_evidence_at(2, 3)
    heatmap[0, 0, 0, 0, 0] = 99.0
    assert evidence_in_quiet_places(clip, heatmap, LABELS, CELLS) < 1e-3


def test_a_clip_in_which_nothing_happens_is_finite_and_teaches_no_place():
    heatmap = map_with_evidence_at(1, 1).requires_grad_()
    cost = evidence_in_quiet_places(torch.zeros(1, 3, 2, 24, 32), heatmap, LABELS, CELLS)
    cost.backward()
    assert torch.isfinite(cost)
    assert heatmap.grad.abs().max() < 1e-6


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 2), (2, 3)])
@pytest.mark.parametrize("first", [0.5, 4.0, 7.5])
def test_a_cell_looks_around_the_centre_that_the_network_says(first, row, column):
    cells = Cells(stride=8.0, first=first)
    clip = torch.zeros(1, 3, 2, 24, 32)
    clip[..., int(first) + 8 * row, int(first) + 8 * column] = 1.0  # one pixel, in the middle of the cell
    assert evidence_in_quiet_places(clip, map_with_evidence_at(row, column), LABELS, cells) < 1e-3
    for other in {(0, 0), (1, 2), (2, 3)} - {(row, column)}:
        assert evidence_in_quiet_places(clip, map_with_evidence_at(*other), LABELS, cells) > 0.99


@pytest.mark.parametrize("padding", PADDINGS)
def test_what_a_network_sees_is_where_its_cell_is_said_to_look(padding):
    network = MobileNetV2_3d(2, width_mult=0.25, mode="high_temporal", padding=padding).eval()
    clip = torch.zeros(1, 3, 2, 96, 128)
    centre = int(network.heatmap_cells.first) + 32
    clip[..., centre - 4 : centre + 5, centre - 4 : centre + 5] = 1.0
    heatmap = torch.zeros(1, 2, 2, 3, 4)
    heatmap[0, 1, :, 1, 1] = 30.0
    assert network.forward_with_heatmap(clip)[1].shape == heatmap.shape
    cost = evidence_in_quiet_places(clip, heatmap, LABELS, network.heatmap_cells)
    assert cost < 1e-3
    assert evidence_in_quiet_places(clip, heatmap.roll(-1, dims=4), LABELS, network.heatmap_cells) > 0.99


def test_a_window_at_the_rim_is_the_mean_of_the_pixels_that_there_are():
    values = torch.rand(2, 1, 1, 24, 32)
    pooled = torch.nn.functional.avg_pool2d(values[:, 0], 9, 8, padding=4, count_include_pad=False)[:, 0]
    quiet = (1 - pooled / pooled.amax(dim=(1, 2), keepdim=True)) ** 2
    cost = evidence_in_quiet_places(values, torch.zeros(2, 2, 1, 3, 4), torch.tensor([0, 1]), CELLS)
    assert cost.item() == pytest.approx(quiet.mean().item())


@pytest.mark.parametrize("size", [(80, 112), (96, 128), (33, 64)])
def test_the_cells_are_as_many_as_those_of_the_network(size):
    rows, columns = -(-size[0] // 32), -(-size[1] // 32)
    clip, heatmap = torch.rand(2, 3, 4, *size), torch.rand(2, 5, 1, rows, columns)
    cost = evidence_in_quiet_places(clip, heatmap, torch.tensor([0, 4]), Cells(stride=32.0, first=0.5))
    assert 0.0 <= cost <= 1.0


def test_the_divergence_is_the_mean_of_both_directions():
    first, second = torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    p, q = first.softmax(dim=1), second.softmax(dim=1)
    both = (p * (p / q).log()).sum() + (q * (q / p).log()).sum()
    assert symmetric_divergence(first, second) == pytest.approx(0.5 * both.item() / 2)
    assert symmetric_divergence(first, second) == symmetric_divergence(second, first)


def test_equal_predictions_do_not_diverge_however_sure_they_are():
    logits = torch.tensor([[1e4, 0.0], [-3.0, 2.0]], requires_grad=True)
    loss = symmetric_divergence(logits, logits + 5)
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    assert torch.isfinite(logits.grad).all()


def test_distillation_is_the_divergence_of_softened_probabilities():
    # At T = 2 the teacher says 3/4 and 1/4, the student 1/2 and 1/2.
    teacher, student = torch.tensor([[2 * math.log(3), 0.0]]), torch.tensor([[5.0, 5.0]], requires_grad=True)
    found = distillation(student, teacher, 2.0)
    assert found.item() == pytest.approx(4 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5)))
    found.backward()
    # T^2 times (student's less teacher's probability) over T.
    torch.testing.assert_close(student.grad, torch.tensor([[2 * (0.5 - 0.75), 2 * (0.5 - 0.25)]]))
    assert distillation(teacher, teacher, 3.0).item() == pytest.approx(0, abs=1e-7)
