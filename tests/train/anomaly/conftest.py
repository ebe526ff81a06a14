"""One dataset and one trained run for all tests of anomaly detection."""

import shutil

import pytest
from anomaly_helpers import tiny_anomaly, write_surfaces

from vedette_train.anomaly.run import open_anomaly_run
from vedette_train.anomaly.training import fit_anomaly


@pytest.fixture(scope="session")
def surfaces(tmp_path_factory):
    return write_surfaces(tmp_path_factory.mktemp("surfaces") / "data")


@pytest.fixture(scope="session")
def shared_run(surfaces, tmp_path_factory):
    return fit_anomaly(tiny_anomaly(), surfaces, tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture
def own_run(shared_run, tmp_path):
    """A copy that a test may spoil."""
    return open_anomaly_run(shutil.copytree(shared_run.directory, tmp_path / "own"))
