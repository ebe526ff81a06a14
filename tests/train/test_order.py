"""Order and random draws are functions of seed, epoch and item, whoever loads them."""

import random

import vedette_train.torchvision_compat  # noqa: F401 - before lightning is imported

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from vedette_train.order import EpochOrder, SeededItems, ValidationBatches, names_of, seed_of


class Dice(Dataset):
    """Items that are nothing but chance, of all three generators."""

    def __len__(self):
        return 7

    def __getitem__(self, item):
        return torch.tensor([float(torch.rand(())), np.random.rand(), random.random()]), item % 2


def thrown(epoch, workers=0, seed=5):
    order = EpochOrder(7, seed)
    order.set_epoch(epoch)
    loader = DataLoader(SeededItems(Dice(), seed), 3, sampler=order, num_workers=workers)
    rows = [row for clips, _, items in loader for row in zip(items.tolist(), clips.tolist(), strict=True)]
    return {item: tuple(clip) for item, clip in rows}


def test_a_draw_depends_on_seed_epoch_and_item_only():
    assert thrown(2) == thrown(2)
    assert thrown(2) == thrown(2, workers=2)
    others = [thrown(2), thrown(3), thrown(2, seed=6)]
    values = [value for other in others for triple in other.values() for value in triple]
    assert len(set(values)) == len(values) == 3 * 3 * 7


def test_loading_leaves_the_generators_as_they_were():
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    expected = float(torch.rand(())), np.random.rand(), random.random()
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    SeededItems(Dice(), 5)[0, 3]
    assert (float(torch.rand(())), np.random.rand(), random.random()) == pytest.approx(expected)


def test_each_epoch_has_an_order_of_its_own():
    order = EpochOrder(50, 1)
    epochs = []
    for epoch in (0, 1, 0):
        order.set_epoch(epoch)
        keys = list(order)
        assert {key[0] for key in keys} == {epoch}
        epochs.append([item for _, item in keys])
        assert sorted(epochs[-1]) == list(range(50))
    assert epochs[0] == epochs[2] != epochs[1]


def test_processes_share_an_epoch_as_one_process_would_batch_it():
    alone = [item for _, item in EpochOrder(12, 3)]
    shares = [[item for _, item in EpochOrder(12, 3, world=2, rank=rank)] for rank in (0, 1)]
    for batch in range(3):
        together = {item for share in shares for item in share[2 * batch : 2 * batch + 2]}
        assert together == set(alone[4 * batch : 4 * batch + 4])


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 5))
def test_every_process_validates_as_many_batches_and_every_item_once(length, batch_size, world):
    if length < world:
        return
    shares = [list(ValidationBatches(length, batch_size, world=world, rank=rank)) for rank in range(world)]
    assert len({len(share) for share in shares}) == 1
    assert all(batch for share in shares for batch in share)
    assert sorted(item for share in shares for batch in share for item in batch) == list(range(length))
    if world == 1:
        assert max(len(batch) for batch in shares[0]) <= batch_size


def test_seeds_are_mixed_and_names_are_said_once():
    assert len({seed_of(a, b) for a in range(20) for b in range(20)}) == 400
    assert names_of([2, 0, 1], ["a", "a", "b"]) == "b, a"
