from __future__ import annotations

import numpy as np

from vedette_edge.tamper.stillness import Stillness

PICTURE = np.full((48, 64, 3), 100, np.uint8)


def noisy(seed, amount=3):
    return PICTURE + np.random.default_rng(seed).integers(0, amount + 1, PICTURE.shape, dtype=np.uint8)


def experienced(pictures):
    stillness = Stillness()
    assert not any(stillness.push(one) for one in pictures)
    return stillness


def test_a_picture_that_repeats_is_still_where_there_was_noise():
    stillness = experienced([noisy(seed) for seed in range(20)])
    assert stillness.push(noisy(19))
    assert stillness.push(noisy(19))
    assert not stillness.push(noisy(20))


def test_a_picture_that_nearly_repeats_is_still():
    stillness = experienced([noisy(seed) for seed in range(20)])
    nearly = noisy(19)
    nearly[0, 0] += 1
    assert stillness.push(nearly)


def test_where_pictures_repeat_by_themselves_nothing_is_still():
    stillness = experienced([noisy(seed // 4) for seed in range(80)])
    assert not stillness.push(noisy(19))


def test_in_the_beginning_nothing_is_known():
    stillness = Stillness()
    assert not any(stillness.push(noisy(seed // 2)) for seed in range(20))


def test_noise_alone_is_not_still_where_usually_much_moves():
    rng = np.random.default_rng(0)
    stillness = experienced([rng.integers(0, 256, PICTURE.shape, dtype=np.uint8) for _ in range(20)])
    stillness.push(noisy(0, 1))
    assert not stillness.push(noisy(1, 1))


def test_another_size_and_another_stream_repeat_nothing():
    stillness = experienced([noisy(seed) for seed in range(20)])
    assert not stillness.push(noisy(19)[:24])
    stillness.forget_last()
    assert not stillness.push(noisy(19)[:24])
    assert stillness.push(noisy(19)[:24])
