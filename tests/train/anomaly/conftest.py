from __future__ import annotations

from anomaly_fixtures import own_run, shared_run, surfaces

__all__ = ["own_run", "shared_run", "surfaces"]
