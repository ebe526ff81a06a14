"""Datasets as people keep them: other names, damaged files, twins, masks."""

import shutil

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.errors import DataError
from vedette_train.anomaly.folder import (
    fingerprint,
    group_twins,
    hold_out,
    scan_anomaly,
    without_damaged,
)
from vedette_train.anomaly.textures import draw_surface


@pytest.fixture
def own(surfaces, tmp_path):
    return shutil.copytree(surfaces, tmp_path / "own")


def test_a_dataset_is_listed_with_kinds_and_masks(surfaces):
    folder = scan_anomaly(surfaces)
    assert len(folder.train) == 12
    assert [picture.kind for picture in folder.test].count("good") == 4
    bad = [picture for picture in folder.test if picture.bad]
    assert {picture.kind for picture in bad} == {"dent", "scratch", "stain"}
    assert all(picture.mask and picture.mask.stem == f"{picture.path.stem}_mask" for picture in bad)


def test_bad_pictures_without_kinds_and_masks_of_the_same_stem_are_found(tmp_path):
    for part in ("train/good", "test/good", "test/bad", "ground_truth/bad"):
        (tmp_path / part).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / part / "a.png"), np.zeros((8, 8), np.uint8))
    (bad,) = [picture for picture in scan_anomaly(tmp_path).test if picture.bad]
    assert (bad.kind, bad.mask) == ("bad", tmp_path / "ground_truth" / "bad" / "a.png")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("train", "Training", "expected a folder 'train' (of train/good), found Training, "),
        ("train/good", "train/OK", "found OK; rename 'OK' to 'good'"),
        ("test/bad", "test/defective", "found defective, good; rename 'defective' to 'bad'"),
        ("test/good", "test/goods", "rename 'goods' to 'good'"),
        ("test/good", "elsewhere", "found bad; make 'good'"),
    ],
)
def test_a_wrong_name_is_told_with_what_was_found_and_the_right_one(old, new, sentence, own):
    (own / old).rename(own / new)
    with pytest.raises(DataError) as caught:
        scan_anomaly(own)
    assert sentence in str(caught.value)


def test_an_empty_or_missing_folder_is_told(own, tmp_path):
    for path in (own / "test" / "good").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="holds no picture"):
        scan_anomaly(own)
    assert scan_anomaly(own, test=False).test == ()
    with pytest.raises(DataError, match="no such folder"):
        scan_anomaly(tmp_path / "nowhere")


def test_damaged_pictures_are_left_out_up_to_a_share_and_named(own):
    victim = sorted((own / "train" / "good").iterdir())[3]
    victim.write_bytes(victim.read_bytes()[:40])
    pictures = scan_anomaly(own).train
    whole, damaged = without_damaged(pictures, 0.1)
    assert len(whole) == 11
    assert list(damaged) == ["train/good/003.png"]
    with pytest.raises(
        DataError, match=r"1 of 12 pictures cannot be used, more than .* 5% lets pass.*003\.png"
    ):
        without_damaged(pictures, 0.05)


def test_twins_share_a_group_under_another_light(tmp_path):
    rng = np.random.default_rng(0)
    first, other = draw_surface(96, rng), draw_surface(96, rng)
    pictures = {
        "a": first,
        "b": cv2.resize(np.clip(first * 1.3, 0, 255).astype(np.uint8), (120, 96)),
        "c": other,
    }
    paths = []
    for name, image in pictures.items():
        paths.append(tmp_path / f"{name}.png")
        cv2.imwrite(str(paths[-1]), image)
    a, b, c = group_twins(paths)
    assert a == b != c
    assert group_twins([]) == []


@given(
    st.lists(st.integers(0, 9), min_size=2, max_size=60).filter(lambda groups: len(set(groups)) > 1),
    st.floats(0.05, 0.9),
    st.integers(0, 99),
)
def test_no_group_lies_on_both_sides_and_none_is_empty(groups, share, seed):
    kept, held = hold_out(groups, share, seed)
    assert kept
    assert held
    assert sorted(kept + held) == list(range(len(groups)))
    assert not {groups[i] for i in kept} & {groups[i] for i in held}
    assert hold_out(groups, share, seed) == (kept, held)


def test_one_group_cannot_be_divided():
    with pytest.raises(DataError, match="3 good pictures form 1 group"):
        hold_out([7, 7, 7], 0.2, 0)


def test_the_fingerprint_changes_with_a_byte(own):
    before = fingerprint(scan_anomaly(own))
    path = own / "train" / "good" / "000.png"
    path.write_bytes(path.read_bytes() + b"\0")
    assert fingerprint(scan_anomaly(own)) != before
