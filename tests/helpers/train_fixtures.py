"""Fixtures that the tests of training and conversion share: one dataset and one trained run a session."""

from __future__ import annotations

import shutil

# Before any test module imports torchvision, or what imports it.
import vedette_train.torchvision_compat  # noqa: F401

import pytest
import torch
from train_helpers import prepared, trained

# Threads wait for each other where cores are shared, and these tensors are tiny.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A dataset of two classes in four scenes; no test may change it."""
    return prepared(tmp_path_factory.getbasetemp())[0]


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """Decoded frames, shared by all tests."""
    return prepared(tmp_path_factory.getbasetemp())[1]


@pytest.fixture(scope="session")
def run_directory(tmp_path_factory):
    """A run that was trained; no test may change it."""
    return trained(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def causal_run(tmp_path_factory):
    """A run whose network can run frame by frame; no test may change it."""
    return trained(tmp_path_factory.getbasetemp(), "causal-run", model__mode="causal")


@pytest.fixture
def own_run(run_directory, tmp_path):
    """A copy of the trained run that a test may spoil."""
    return shutil.copytree(run_directory, tmp_path / "run")


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """A run whose network has few layers, and is converted soon; no test may change it."""
    return trained(tmp_path_factory.getbasetemp(), "small-run", model={"name": "simple_3d"})


@pytest.fixture
def own_small_run(small_run, tmp_path):
    """A copy of it that a test may spoil."""
    return shutil.copytree(small_run, tmp_path / "run")
