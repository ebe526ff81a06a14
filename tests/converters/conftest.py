from __future__ import annotations

from train_fixtures import cache, causal_run, data, own_run, run_directory

__all__ = ["cache", "causal_run", "data", "own_run", "run_directory"]
