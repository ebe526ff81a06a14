from __future__ import annotations

import pytest
from edge_helpers import write_bundle
from release_helpers import Site


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


@pytest.fixture
def bundle(tmp_path):
    return write_bundle(tmp_path / "bundle")
