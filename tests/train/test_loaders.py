"""What one process of several loads."""

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import pytest
from train_helpers import tiny_recipe

from vedette_edge.errors import UsageError
from vedette_train.data.parts import load_parts
from vedette_train.loaders import make_loaders, training_clips


def test_batches_name_their_items_and_the_last_is_dropped(data, cache):
    recipe = tiny_recipe(train__batch_size=3)
    loaders = make_loaders(recipe, load_parts(recipe, data, cache), cache)
    ((clips, labels, items),) = loaders.training  # 4 videos, batches of 3
    assert clips.shape == (3, 3, 4, 32, 64)
    assert len(labels) == len(set(items.tolist())) == 3
    ((clips, labels),) = loaders.validation
    assert (clips.shape, sorted(labels.tolist())) == ((2, 3, 4, 32, 64), [0, 1])


def test_few_clips_are_one_batch_and_without_a_part_there_is_no_validation(data, cache):
    recipe = tiny_recipe(train__batch_size=9, data__val_share=0, train__keep="last")
    loaders = make_loaders(recipe, load_parts(recipe, data, cache), cache)
    assert len(loaders.training) == 1
    assert loaders.validation is None


def test_pairs_are_loaded_for_consistency_and_not_for_a_probe(data, cache):
    recipe = tiny_recipe(train__consistency=1.0)
    parts = load_parts(recipe, data, cache)
    clips, _, _ = next(iter(make_loaders(recipe, parts, cache).training))
    assert clips.shape == (3, 2, 3, 4, 32, 64)
    assert training_clips(recipe, parts, cache)[0][0].shape == (3, 4, 32, 64)


def test_more_processes_than_validation_videos_are_refused(data, cache):
    parts = load_parts(tiny_recipe(), data, cache)
    with pytest.raises(UsageError, match="2 validation videos cannot be shared by 3 processes"):
        make_loaders(tiny_recipe(), parts, cache, world=3)
