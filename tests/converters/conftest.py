from __future__ import annotations

from train_fixtures import cache, data, own_run, run_directory

__all__ = ["cache", "data", "own_run", "run_directory"]
