"""The models that run here: loaded once, proved, shared by all cameras, replaced when they fail."""

from __future__ import annotations

from vedette_edge.engine.engine import Engine
from vedette_edge.engine.load import OnChange, load_beside, load_models, open_model
from vedette_edge.engine.models import Model
from vedette_edge.engine.shared import SharedSession, SharedStreams

__all__ = [
    "Engine",
    "Model",
    "OnChange",
    "SharedSession",
    "SharedStreams",
    "load_beside",
    "load_models",
    "open_model",
]
