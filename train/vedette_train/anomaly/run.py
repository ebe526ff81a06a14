"""A run of anomaly detection: the folder that one training leaves behind.

RUN/
├── recipe.yaml       the recipe, every default written out
├── run.json          dataset fingerprint, who was trained on and held out, damaged pictures, versions
├── model.pt          weights, threshold and range of the map: tensors and floats only
├── slimming.json     the channels that were kept, where some were removed
├── history.csv       one row an epoch              curves.png
├── metrics.json      figures with 95 % intervals   roc.png   confusion.png   predictions.csv
├── panels/           picture, map, overlay side by side
├── overlays/         every test picture with its heatmap
└── checkpoints/      last.pt, for --resume
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from vedette_edge.errors import ConfigError, DataError
from vedette_edge.files import write_atomically
from vedette_edge.validation import describe_errors
from vedette_train.anomaly.detectors import Detector, build_detector
from vedette_train.anomaly.recipe import AnomalyRecipe, anomaly_recipe_from_dict
from vedette_train.runs import INFO_FILE, MODEL_FILE, RECIPE_FILE
from vedette_train.settings import read_yaml
from vedette_train.slim.cut import cut, slimming_of
from vedette_train.slim.record import read_slimming

__all__ = [
    "AnomalyInfo",
    "AnomalyRun",
    "Calibration",
    "is_anomaly_run",
    "open_anomaly_run",
    "read_calibrated",
    "save_anomaly_start",
    "save_calibrated",
]


class AnomalyInfo(BaseModel):
    """What `run.json` holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = 1
    data_root: str
    dataset: str
    train: tuple[str, ...]
    held_out: tuple[str, ...]
    damaged: dict[str, str]
    versions: dict[str, str]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What makes a decision and a colour of a score and a map.

    Attributes:
        threshold: a picture whose score reaches it is bad.
        map_low: least value of the maps of the pictures that the threshold was fitted on; drawn darkest.
        map_high: the largest one; drawn brightest.
    """

    threshold: float
    map_low: float
    map_high: float


@dataclass(frozen=True, slots=True)
class AnomalyRun:
    """A finished run."""

    directory: Path
    recipe: AnomalyRecipe
    info: AnomalyInfo

    def detector(self) -> tuple[Detector, Calibration]:
        """Build the detector with the run's weights, in evaluation mode, on the CPU.

        Raises:
            DataError: when the weights or the record of removed channels are missing, damaged, of another
                detector, or not all finite.
        """
        detector = build_detector(self.recipe, weights=False)
        if slimming := read_slimming(self.directory):
            cut(detector, slimming)
        return detector, read_calibrated(self.directory / MODEL_FILE, detector)


def is_anomaly_run(directory: Path) -> bool:
    """Tell whether a folder is a run of anomaly detection, and not of classification."""
    try:
        data = read_yaml(directory / RECIPE_FILE)
    except DataError:
        return False
    return isinstance(data, dict) and data.get("task") == "anomaly"


def open_anomaly_run(directory: Path) -> AnomalyRun:
    """Read a finished run.

    Raises:
        DataError: when the folder is no such run, or the run did not finish.
    """
    if not is_anomaly_run(directory):
        raise DataError(f"{directory} is not a run of anomaly detection; give the --out of vedette-train fit")
    if not (directory / MODEL_FILE).is_file():
        raise DataError(f"{directory} has no {MODEL_FILE}: its training did not finish; go on with --resume")
    return AnomalyRun(directory, read_anomaly_recipe(directory), read_info(directory))


def read_anomaly_recipe(directory: Path) -> AnomalyRecipe:
    """Read the recipe that a run was started with.

    Raises:
        DataError: when it is missing or unreadable.
    """
    path = directory / RECIPE_FILE
    return anomaly_recipe_from_dict(read_yaml(path), str(path))


def read_info(directory: Path) -> AnomalyInfo:
    """Read run.json.

    Raises:
        DataError: when it is missing or damaged.
    """
    path = directory / INFO_FILE
    try:
        return AnomalyInfo.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    except ValidationError as error:
        raise DataError(f"{path}: {describe_errors(error, AnomalyInfo)}") from error


def refuse_change(recipe: AnomalyRecipe, info: AnomalyInfo, directory: Path) -> None:
    """Raise when a run was started with another recipe or on other pictures.

    Raises:
        ConfigError: lists the keys that differ.
        DataError: names both datasets.
    """
    before, after = (_flat(one.model_dump(mode="json")) for one in (read_anomaly_recipe(directory), recipe))
    changed = [
        f"{key}: {before.get(key)} there, {after.get(key)} now"
        for key in before | after
        if before.get(key) != after.get(key)
    ]
    if changed:
        raise ConfigError(
            f"{directory} was started with another recipe ({'; '.join(changed)}); resume with that one"
        )
    start = read_info(directory)
    if (start.dataset, start.train) != (info.dataset, info.train):
        raise DataError(
            f"{directory} was started on other pictures ({start.data_root}, {start.dataset[:12]}...) than "
            f"there are now ({info.data_root}, {info.dataset[:12]}...); resume with those, or start a new run"
        )


def save_anomaly_start(directory: Path, recipe: AnomalyRecipe, info: AnomalyInfo) -> None:
    """Write what is known before training: recipe and run.json."""
    directory.mkdir(parents=True, exist_ok=True)
    write_atomically(directory / RECIPE_FILE, recipe.to_yaml().encode())
    write_atomically(directory / INFO_FILE, (info.model_dump_json(indent=2) + "\n").encode())


def save_calibrated(path: Path, detector: Detector, calibration: Calibration) -> None:
    """Write weights and calibration; `torch.load(path, weights_only=True)` reads them.

    What was removed from the detector is written beside them.
    """
    if slimming := slimming_of(detector):
        slimming.write(path.parent)
    state = {name: tensor.detach().cpu() for name, tensor in detector.state_dict().items()}
    save_tensors(path, {"state": state, **{key: float(value) for key, value in asdict(calibration).items()}})


def read_calibrated(path: Path, detector: Detector) -> Calibration:
    """Load weights into a detector of the same recipe, and return its calibration.

    Raises:
        DataError: when the file is missing, damaged, of another detector, or holds NaN or infinity.
    """
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
        state: Mapping[str, Tensor] = data["state"]
        detector.load_state_dict(state)
        calibration = Calibration(**{key: float(data[key]) for key in Calibration.__dataclass_fields__})
    except Exception as error:  # torch.load raises what its unpickler meets
        raise DataError(f"{path}: cannot load the weights of this run ({error})") from error
    broken = [name for name, tensor in state.items() if not torch.isfinite(tensor).all()]
    broken += [key for key, value in asdict(calibration).items() if not torch.isfinite(torch.tensor(value))]
    if broken:
        raise DataError(f"{path}: {len(broken)} values are NaN or infinite, first {broken[0]}; train again")
    return calibration


def save_tensors(path: Path, data: Mapping[str, Any]) -> None:
    """Write tensors, numbers and strings with torch, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save(dict(data), buffer)
    write_atomically(path, buffer.getvalue())


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
