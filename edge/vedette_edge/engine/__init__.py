"""The models that run here: loaded once, proved, shared by all cameras."""

from __future__ import annotations

from vedette_edge.engine.models import Model, load_models
from vedette_edge.engine.shared import SharedSession

__all__ = ["Model", "SharedSession", "load_models"]
