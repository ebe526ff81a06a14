"""What is converted: a finished run of any kind, seen through the same eyes.

A `Subject` has the network, what the manifest says of it, and real samples: those that the run reports on,
for the proof, and those it was trained on, for calibration. Nothing after this knows the kind of run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vedette_edge.manifest import AnomalySpec, Cells, Decision, InputSpec, Label, Provenance
from vedette_edge.probabilities import Scale
from vedette_edge.types import FloatArray
from vedette_train.anomaly.run import is_anomaly_run
from vedette_train.models import HeatmapModel

__all__ = ["Description", "Judgeable", "Subject", "open_subject"]


@dataclass(frozen=True, slots=True)
class Description:
    """What the manifest says of a model, whatever its variants."""

    name: str
    architecture: str
    labels: tuple[Label, ...]
    input: InputSpec
    cells: Cells | None
    decision: Decision
    anomaly: AnomalySpec | None
    split: str
    provenance: Provenance

    @property
    def scale(self) -> Scale:
        """How the logits are read."""
        return Scale(self.decision.temperature, self.anomaly)


@dataclass(frozen=True, slots=True, eq=False)
class Judgeable:
    """A video or picture with its truth.

    Attributes:
        name: for messages.
        truth: index of the label, as `Scale.labels` gives it.
        frames: (N, T, H, W, 3) uint8, its N windows, fitted to the network's input.
        tensor: (N, C, T, H, W) float32, the same as the network's input.
        stream: (1, C, n, H, W) float32, all its sampled frames in order, where a stream can be asked for.
    """

    name: str
    truth: int
    frames: NDArray[np.uint8]
    tensor: FloatArray
    stream: FloatArray | None = None


class Subject(Protocol):
    """A finished run."""

    @property
    def network(self) -> HeatmapModel:
        """The trained network, in evaluation mode, on the CPU."""
        ...

    @property
    def description(self) -> Description:
        """What the manifest says of it."""
        ...

    @property
    def reported(self) -> int:
        """How many samples the run reports on."""
        ...

    def judgeables(self) -> Iterator[Judgeable]:
        """Yield the samples that the run reports on.

        Raises:
            DataError: when the dataset or a sample is not there.
        """
        ...

    def calibration(self, count: int) -> Iterator[Judgeable]:
        """Yield `count` samples that the run was trained on, spread over its labels, always the same ones.

        Raises:
            DataError: as `judgeables`, and where there are none.
        """
        ...


def open_subject(directory: Path, data: Path | None = None) -> Subject:
    """Open a finished run.

    Args:
        directory: the run.
        data: its dataset, where it moved.

    Raises:
        DataError: when the run cannot be read, was not evaluated, or its dataset is not there.
        UsageError: when the run is of a kind that no device can run.
    """
    if is_anomaly_run(directory):
        from vedette_converters.subjects.anomaly import AnomalySubject

        return AnomalySubject.open(directory, data)
    from vedette_converters.subjects.classifier import ClassifierSubject

    return ClassifierSubject.open(directory, data)
