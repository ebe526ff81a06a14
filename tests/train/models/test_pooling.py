"""Means over a grid: what adaptive average pooling gives, by matrices."""

import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from vedette_train.models.pooling import bin_shares, grid_means

sides = st.integers(1, 12)


@given(sides, sides, sides, sides)
def test_they_are_those_of_adaptive_average_pooling(height, width, rows, columns):
    x = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(height))
    torch.testing.assert_close(
        grid_means(x, rows, columns), F.adaptive_avg_pool2d(x, (rows, columns)), rtol=1e-5, atol=1e-6
    )


@given(sides, sides)
def test_each_bin_is_a_mean(bins, length):
    shares = bin_shares(bins, length, torch.zeros(1, dtype=torch.float64))
    assert shares.shape == (bins, length)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(bins, dtype=torch.float64))
