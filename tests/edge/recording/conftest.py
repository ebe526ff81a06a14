from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def surveillance():
    """A video of people in a street."""
    path = Path(__file__).parents[4] / "shared" / "data" / "surveillance" / "pedestrian_survaillance.mp4"
    if not path.exists():
        pytest.skip(f"needs {path}")
    return path
