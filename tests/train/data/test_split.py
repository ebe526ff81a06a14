"""No group on both sides, ever."""

import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from vedette_edge.errors import DataError
from vedette_train.data.split import split_by_group

videos = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12).map(str)), min_size=1, max_size=60)


@settings(deadline=None)
@given(videos, st.integers(2, 5), st.data())
def test_no_group_is_ever_divided(rows, folds, data):
    fold, seed = data.draw(st.integers(0, folds - 1)), data.draw(st.integers(0, 99))
    labels, groups = [label for label, _ in rows], [group for _, group in rows]
    assume(len(set(groups)) >= folds <= max(labels.count(label) for label in labels))
    try:
        split = split_by_group(labels, groups, folds=folds, fold=fold, seed=seed)
    except DataError:  # large groups can leave a fold empty, which is said
        reject()
    assert sorted((*split.train, *split.val)) == list(range(len(rows)))
    assert not {groups[i] for i in split.train} & {groups[i] for i in split.val}
    assert split.train
    assert split.val


def scenes(count, labels=2):
    """Return labels and groups of `count` scenes that each show every label twice."""
    rows = [(label, f"scene {scene}") for scene in range(count) for label in range(labels) for _ in "ab"]
    return [label for label, _ in rows], [group for _, group in rows]


def test_the_seed_decides_the_deal():
    labels, groups = scenes(20)
    splits = [split_by_group(labels, groups, folds=4, fold=0, seed=seed) for seed in (1, 1, 2)]
    assert splits[0] == splits[1] != splits[2]


def test_the_folds_validate_every_video_once():
    labels, groups = scenes(10)
    parts = [split_by_group(labels, groups, folds=5, fold=fold, seed=0).val for fold in range(5)]
    assert sorted(index for part in parts for index in part) == list(range(len(labels)))


def test_the_labels_stay_even():
    labels, groups = scenes(8)
    split = split_by_group(labels, groups, folds=4, fold=1, seed=0)
    assert sorted(labels[i] for i in split.val) == [0] * 4 + [1] * 4


@pytest.mark.parametrize(
    ("labels", "groups", "sentence"),
    [
        ([0, 1, 0, 1], list("aabb"), "2 groups cannot be dealt into 5 folds"),
        ([0, 0, 0, 1, 1, 1], list("abcdef"), "every class has fewer than 5 videos"),
    ],
)
def test_too_few_for_the_folds_is_an_error(labels, groups, sentence):
    with pytest.raises(DataError, match=sentence):
        split_by_group(labels, groups, folds=5, fold=0, seed=0)
