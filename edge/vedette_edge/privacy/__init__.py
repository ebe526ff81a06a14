"""What of a picture nobody may see: masked places, and persons or faces that a detector finds."""

from __future__ import annotations

from vedette_edge.privacy.detectors import open_detector
from vedette_edge.privacy.masks import blacken
from vedette_edge.privacy.redact import Clear, Mosaic, Redactor

__all__ = ["Clear", "Mosaic", "Redactor", "blacken", "open_detector"]
