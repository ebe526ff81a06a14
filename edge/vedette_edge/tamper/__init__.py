"""Whether somebody interferes with the camera itself: covers it, turns it, spoils its focus, freezes it."""

from __future__ import annotations

from vedette_edge.tamper.detector import Kind, TamperChange, TamperDetector
from vedette_edge.tamper.guard import TamperGuard

__all__ = ["Kind", "TamperChange", "TamperDetector", "TamperGuard"]
