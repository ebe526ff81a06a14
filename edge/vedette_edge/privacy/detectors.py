"""Finds persons or faces in a picture, so that they can be hidden. OpenCV alone runs the networks.

They look for cover, not for count: what is found twice is told twice, and a low score is enough.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import cv2
import numpy as np

from vedette_edge.errors import ConfigError
from vedette_edge.privacy.coco import COCO
from vedette_edge.types import Box, FloatArray, Image

__all__ = ["Detector", "DetectorKind", "FastestDet", "YuNet", "decode_fastestdet", "open_detector"]

DetectorKind: TypeAlias = Literal["fastestdet", "yunet"]

_SIDE = 352  # pixels; the input of the published FastestDet
_SUPPRESS = 0.9  # overlap from which YuNet tells a face once; high, for cover


class Detector(Protocol):
    """Finds what is to be hidden; threads may share it."""

    def find(self, image: Image) -> list[Box]:
        """Return where it lies in a (H, W, 3) uint8 BGR picture.

        Raises:
            Exception: when the network fails, of whatever class.
        """
        ...


def open_detector(kind: DetectorKind, model: Path, labels: Sequence[str], threshold: float) -> Detector:
    """Load a detector and try it once.

    Args:
        kind: what network it is.
        model: its ONNX file.
        labels: which of COCO's classes to find; YuNet knows faces only, and heeds none.
        threshold: score from which something counts as found, 0..1.

    Raises:
        ConfigError: when the file cannot be used, or a label is unknown.
    """
    try:
        content = np.frombuffer(model.read_bytes(), dtype=np.uint8)
    except OSError as error:
        raise ConfigError(f"{model}: cannot read the detector ({error.strerror})") from error
    try:
        detector: Detector
        if kind == "yunet":
            detector = YuNet(content, threshold)
        else:
            detector = FastestDet(content, _indices(labels), threshold)
        detector.find(np.zeros((_SIDE, _SIDE, 3), dtype=np.uint8))
    except (cv2.error, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{model}: not a detector of kind '{kind}': {reason}") from error
    return detector


class FastestDet:
    """FastestDet [github.com/dog-qiuqiu/FastestDet]: one scale, 22 x 22 cells, the 80 classes of COCO."""

    def __init__(self, model: Image, labels: Sequence[int], threshold: float) -> None:
        """Load the bytes of an ONNX file; find classes `labels` from score `threshold`."""
        self._net = cv2.dnn.readNetFromONNX(model)
        self._labels = labels
        self._threshold = threshold
        self._one_at_a_time = threading.Lock()

    def find(self, image: Image) -> list[Box]:
        """Return the boxes; see `Detector`."""
        blob = cv2.dnn.blobFromImage(image, 1 / 255, (_SIDE, _SIDE))
        with self._one_at_a_time:
            self._net.setInput(blob)
            output = self._net.forward()
        return decode_fastestdet(np.asarray(output, dtype=np.float32), self._labels, self._threshold)


class YuNet:
    """YuNet, the face detector of OpenCV's model zoo [Wu et al., 2023, doi 10.1007/s11633-023-1423-y]."""

    def __init__(self, model: Image, threshold: float) -> None:
        """Load the bytes of an ONNX file; find faces from score `threshold`."""
        size, none = (_SIDE, _SIDE), np.empty(0, dtype=np.uint8)
        self._net: Any = cv2.FaceDetectorYN.create("onnx", model, none, size, threshold, _SUPPRESS)
        self._one_at_a_time = threading.Lock()

    def find(self, image: Image) -> list[Box]:
        """Return the boxes; see `Detector`."""
        height, width = image.shape[:2]
        with self._one_at_a_time:
            self._net.setInputSize((width, height))
            faces = self._net.detect(image)[1]
        if faces is None:
            return []
        return [Box(x / width, y / height, w / width, h / height) for x, y, w, h in faces[:, :4].tolist()]


def decode_fastestdet(output: FloatArray, labels: Sequence[int], threshold: float) -> list[Box]:
    """Return a box for each cell in which one of the classes scores.

    Args:
        output: (1, 5 + 80, H', W') float32: object, x, y, width, height, classes.
        labels: indices of the classes.
        threshold: of object^0.6 * class^0.4, 0..1.

    Raises:
        ValueError: when the output is of another shape, or not finite.
    """
    if output.ndim != 4 or output.shape[:2] != (1, 5 + len(COCO)) or not np.isfinite(output).all():
        raise ValueError(f"expected finite outputs of shape (1, {5 + len(COCO)}, H, W), got {output.shape}")
    found, across, down, wide, tall = output[0, :5]
    score = np.maximum(found, 0) ** 0.6 * np.maximum(output[0, 5:][list(labels)].max(axis=0), 0) ** 0.4
    boxes = []
    for row, column in np.argwhere(score >= threshold):
        x = (column + np.tanh(across[row, column])) / score.shape[1]
        y = (row + np.tanh(down[row, column])) / score.shape[0]
        width, height = 1 / (1 + np.exp(-wide[row, column])), 1 / (1 + np.exp(-tall[row, column]))
        boxes.append(Box(float(x - width / 2), float(y - height / 2), float(width), float(height)))
    return boxes


def _indices(labels: Sequence[str]) -> list[int]:
    unknown = sorted(set(labels) - set(COCO))
    if unknown:
        raise ConfigError(f"the detector knows no {', '.join(unknown)}; it knows: {', '.join(COCO)}")
    return [COCO.index(label) for label in labels]
