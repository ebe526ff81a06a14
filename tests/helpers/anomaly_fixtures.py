"""Fixtures that the tests of anomaly detection share: one dataset and one trained run a session."""

from __future__ import annotations

import shutil

import pytest
from anomaly_helpers import prepared_surfaces, trained_anomaly

from vedette_train.anomaly.run import open_anomaly_run


@pytest.fixture(scope="session")
def surfaces(tmp_path_factory):
    """A dataset of surfaces; no test may change it."""
    return prepared_surfaces(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def shared_run(tmp_path_factory):
    """A run that was trained; no test may change it."""
    return open_anomaly_run(trained_anomaly(tmp_path_factory.getbasetemp()))


@pytest.fixture
def own_run(shared_run, tmp_path):
    """A copy that a test may spoil."""
    return open_anomaly_run(shutil.copytree(shared_run.directory, tmp_path / "own"))
