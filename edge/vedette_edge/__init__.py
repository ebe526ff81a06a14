"""The edge agent: a trained eye on a camera. The device side of Vedette, free of PyTorch."""

from __future__ import annotations

import os
from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("vedette")

# Both are read when OpenCV is loaded; our own errors say what matters of a bad video, once.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")

# Read when ONNX Runtime is loaded: official builds keep an identifier of the device, and report home.
# What a camera's device does is not for others to know; who wants to tell them sets it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
