"""Whether what a model sees and says on a camera is still what it saw and said of held-out samples."""

from __future__ import annotations

from vedette_edge.drift.monitor import Drift, DriftMonitor
from vedette_edge.drift.reporter import DriftReporter
from vedette_edge.drift.samples import SampleKeeper, UnsureSample

__all__ = ["Drift", "DriftMonitor", "DriftReporter", "SampleKeeper", "UnsureSample"]
