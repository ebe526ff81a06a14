from __future__ import annotations

import pytest
import torch
from train_fixtures import cache, causal_run, data, own_run, own_small_run, run_directory, small_run

__all__ = ["cache", "causal_run", "data", "own_run", "own_small_run", "run_directory", "small_run"]


@pytest.fixture
def double_precision():
    """So that what is left of a difference is an error and not rounding."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
