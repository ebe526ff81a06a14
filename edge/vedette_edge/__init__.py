"""The edge agent: a trained eye on a camera. The device side of Vedette, free of PyTorch."""

from __future__ import annotations

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("vedette")
