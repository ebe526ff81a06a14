"""What of a picture nobody may see: masked places, and persons or faces that a detector finds."""

from __future__ import annotations

from vedette_edge.privacy.masks import blacken

__all__ = ["blacken"]
