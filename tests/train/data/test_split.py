"""No group on both sides, ever."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vedette_edge.errors import DataError
from vedette_train.data.split import (
    PARTS,
    groups_on_both_sides,
    read_split_file,
    split_by_group,
)

videos = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12).map(str)), min_size=8, max_size=60)


@settings(deadline=None)
@given(videos, st.integers(2, 5), st.floats(0, 0.5), st.data())
def test_no_group_is_ever_divided(rows, folds, val_share, data):
    fold, seed = data.draw(st.integers(0, folds - 1)), data.draw(st.integers(0, 99))
    labels, groups = [label for label, _ in rows], [group for _, group in rows]
    try:
        split = split_by_group(labels, groups, folds=folds, fold=fold, val_share=val_share, seed=seed)
    except DataError:  # too few groups, or large ones that leave a part empty, which is said
        return
    assert sorted((*split.train, *split.val, *split.test)) == list(range(len(rows)))
    train, val, test = ({groups[i] for i in part} for part in (split.train, split.val, split.test))
    assert not train & val
    assert not (train | val) & test
    assert split.train
    assert split.test
    assert bool(split.val) == bool(val_share)


def scenes(count, labels=2):
    """Return labels and groups of `count` scenes that each show every label twice."""
    rows = [(label, f"scene {scene}") for scene in range(count) for label in range(labels) for _ in "ab"]
    return [label for label, _ in rows], [group for _, group in rows]


def test_the_seed_decides_the_deal():
    labels, groups = scenes(20)
    splits = [split_by_group(labels, groups, folds=4, fold=0, val_share=0.2, seed=seed) for seed in (1, 1, 2)]
    assert splits[0] == splits[1] != splits[2]


def test_the_folds_test_every_video_once():
    labels, groups = scenes(10)
    parts = [
        split_by_group(labels, groups, folds=5, fold=fold, val_share=0.2, seed=0).test for fold in range(5)
    ]
    assert sorted(index for part in parts for index in part) == list(range(len(labels)))


def test_the_labels_stay_even():
    labels, groups = scenes(8)
    split = split_by_group(labels, groups, folds=4, fold=1, val_share=1 / 3, seed=0)
    assert sorted(labels[i] for i in split.test) == sorted(labels[i] for i in split.val) == [0] * 4 + [1] * 4


@pytest.mark.parametrize(
    ("share", "scenes_of_val"), [(0, 0), (0.001, 2), (0.1, 4), (0.25, 10), (0.3, 12), (0.4, 16), (0.5, 20)]
)
def test_the_validation_part_is_the_share_asked_for_of_what_is_not_tested_on(share, scenes_of_val):
    labels, groups = scenes(50)
    split = split_by_group(labels, groups, folds=5, fold=0, val_share=share, seed=0)
    assert len({groups[i] for i in split.test}) == 10
    assert len({groups[i] for i in split.val}) == scenes_of_val


def test_too_few_groups_for_a_validation_part_is_an_error():
    labels, groups = scenes(2)
    with pytest.raises(DataError, match=r"too few groups for training and validation.*data\.val_share: 0"):
        split_by_group(labels, groups, folds=2, fold=0, val_share=0.2, seed=0)
    assert split_by_group(labels, groups, folds=2, fold=0, val_share=0, seed=0).val == ()


def test_groups_on_both_sides_are_those_of_training_that_are_held_out():
    assert groups_on_both_sides("abcd", "bx", "dxb") == ["b", "d"]
    assert groups_on_both_sides("ab", "x", "x") == []


NAMES = ["a/1.mp4", "a/2.mp4", "b/1.mp4", "b/2.mp4"]


@settings(deadline=None)
@given(st.lists(st.sampled_from(PARTS), min_size=4, max_size=4), st.permutations(NAMES))
def test_a_split_file_is_read_as_it_says_in_any_order(tmp_path_factory, parts, order):
    assume("train" in parts and {*parts} != {"train"})
    path = tmp_path_factory.mktemp("split") / "split.csv"
    of_name = dict(zip(NAMES, parts, strict=True))
    rows = [f"{name},label,group,{of_name[name]}" for name in order]
    path.write_text("\n".join(["path,label,group,part", *rows]))
    split = read_split_file(path, NAMES)
    assert [*parts] == [next(part for part in PARTS if i in getattr(split, part)) for i in range(4)]


ROWS = ["a/1.mp4,train", "a/2.mp4,val", "b/1.mp4,train", "b/2.mp4,test"]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (ROWS[:2], r"has no row for b/1\.mp4, b/2\.mp4; every video needs a part"),
        ([*ROWS, "c/1.mp4,val"], r"names c/1\.mp4, which the dataset does not have"),
        ([*ROWS, ROWS[0]], r"line 6: a/1\.mp4 is named twice"),
        (["a/1.mp4,training", *ROWS[1:]], r"line 2: expected columns path and part \(train, val or test\)"),
        ([",train", *ROWS], r"line 2: expected columns path and part"),
        ([row.split(",")[0] + ",train" for row in ROWS], "needs readable videos to train on and others"),
        ([row.split(",")[0] + ",test" for row in ROWS], "needs readable videos to train on and others"),
    ],
)
def test_a_split_file_that_does_not_fit_is_an_error_that_names_the_video(rows, sentence, tmp_path):
    path = tmp_path / "split.csv"
    path.write_text("\n".join(["path,part", *rows]))
    with pytest.raises(DataError, match=sentence):
        read_split_file(path, NAMES)


def test_a_split_file_may_name_what_cannot_be_read(tmp_path):
    path = tmp_path / "split.csv"
    path.write_text("\n".join(["path,part", *ROWS, "b/broken.mp4,val"]))
    assert read_split_file(path, NAMES, ["b/broken.mp4"]).val == (1,)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_split_file_that_cannot_be_read_is_named(content, tmp_path):
    path = tmp_path / "split.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"split\.csv: cannot be read"):
        read_split_file(path, NAMES)


@pytest.mark.parametrize(
    ("labels", "groups", "sentence"),
    [
        ([0, 1, 0, 1], list("aabb"), "2 groups cannot be dealt into 5 folds"),
        ([0, 0, 0, 1, 1, 1], list("abcdef"), "every class has fewer than 5 videos"),
    ],
)
def test_too_few_for_the_folds_is_an_error(labels, groups, sentence):
    with pytest.raises(DataError, match=sentence):
        split_by_group(labels, groups, folds=5, fold=0, val_share=0.2, seed=0)
