"""Copies are found whatever was done to their encoding; other videos are left alone."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from train_helpers import moving_square

from vedette_train.data.duplicates import MAX_DISTANCE, difference_hash, group_near_duplicates


def hash_of(label, scene, change=lambda pictures: pictures):
    return difference_hash(change(np.stack(moving_square(label, scene))).astype(np.uint8))


def test_copies_share_a_group_and_others_do_not():
    noise = np.random.default_rng(0).normal(0, 3, (12, 48, 64, 3))
    hashes = [
        hash_of("left", 1),
        hash_of("left", 2),
        hash_of("left", 1, lambda pictures: 20 + 0.8 * pictures),
        hash_of("right", 2),
        hash_of("left", 2, lambda pictures: np.clip(pictures + noise, 0, 255)),
        hash_of("left", 2, lambda pictures: pictures[:, ::2, ::2]),
    ]
    found = group_near_duplicates(hashes)
    assert found[0] == found[2]
    assert found[1] == found[4] == found[5]
    assert len({found[0], found[1], found[3]}) == 3


def test_a_hash_has_64_bits_for_each_of_a_few_frames():
    assert difference_hash(np.zeros((1, 9, 9, 3), np.uint8)).shape == (4, 64)
    assert difference_hash(np.zeros((50, 9, 9, 3), np.uint8), count=2).shape == (2, 64)


def with_bits(count):
    bits = np.zeros((4, 64), bool)
    bits[:, :count] = True
    return bits


def test_copies_of_a_copy_join_their_group():
    chain = [with_bits(0), with_bits(2 * MAX_DISTANCE), with_bits(MAX_DISTANCE)]
    assert group_near_duplicates(chain) == [0, 0, 0]
    assert group_near_duplicates(chain[:2]) == [0, 1]


def test_no_videos_have_no_groups():
    assert group_near_duplicates([]) == []


@given(st.lists(st.integers(0, 64), min_size=1, max_size=12))
def test_groups_are_the_runs_of_close_neighbours(counts):
    found = group_near_duplicates([with_bits(count) for count in counts])
    order = sorted(range(len(counts)), key=lambda index: counts[index])
    for one, other in pairwise(order):
        close = counts[other] - counts[one] <= MAX_DISTANCE
        assert (found[one] == found[other]) is close
    for group in set(found):
        assert found.index(group) == group  # a group is called by its first video
