"""The edge agent: a trained eye on a camera. The device side of Vedette, free of PyTorch."""

from __future__ import annotations

import os
from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("vedette")

# Both are read when OpenCV is loaded; our own errors say what matters of a bad video, once.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")

# Official builds of ONNX Runtime keep an identifier of the device and report to their maker, from the moment they are
# loaded. What a camera's device does is nobody's business; who wants it sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
