"""A repository with one release of `door` for fleet-a, its server, and a device that follows it."""

import pytest
from tuf_helpers import BUNDLE, Device, ReleaseRepository, serving


@pytest.fixture
def repository():
    repository = ReleaseRepository("fleet-a", "fleet-b")
    repository.release("door", BUNDLE, 1)
    return repository


@pytest.fixture
def server(repository):
    with serving(repository.files) as server:
        yield server


@pytest.fixture
def device(tmp_path, repository, server):
    return Device(tmp_path, repository, server.url)
