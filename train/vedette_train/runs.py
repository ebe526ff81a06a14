"""A run: the folder that one training leaves behind, and everything later steps need of it.

RUN/
├── recipe.yaml        the recipe, every default written out
├── run.json           labels, dataset fingerprint, split, unreadable videos, versions, calibration
├── split.csv          path,label,group,part: every video's part
├── model.pt           the weights that the recipe says to keep
├── history.csv        one row an epoch            curves.png
├── epochs.jsonl       the same with the confusion matrix of the validation part, rows the truth
├── metrics.json       figures with 95 % intervals, of the part that the run reports
├── predictions.csv    one row a video, every class's probability
├── card.md            the model card               *.png           what metrics.json says, drawn
├── checkpoints/       last.ckpt and best.ckpt, for --resume
└── tensorboard/
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from vedette_edge.errors import ConfigError, DataError
from vedette_edge.files import write_atomically
from vedette_edge.manifest import Decision
from vedette_edge.validation import describe_errors
from vedette_train.data.split import PARTS, PartName, groups_on_both_sides
from vedette_train.models import create_for_input
from vedette_train.models.blind import blind
from vedette_train.recipe import Recipe, recipe_from_dict
from vedette_train.settings import read_yaml

__all__ = [
    "Calibration",
    "Run",
    "RunInfo",
    "Sample",
    "library_versions",
    "open_run",
    "read_metrics",
    "save_info",
    "save_state",
    "save_weights",
]


RECIPE_FILE = "recipe.yaml"
INFO_FILE = "run.json"
SPLIT_FILE = "split.csv"
MODEL_FILE = "model.pt"
METRICS_FILE = "metrics.json"
PREDICTIONS_FILE = "predictions.csv"
CARD_FILE = "card.md"
_LIBRARIES = ("vedette", "torch", "torchvision", "lightning", "numpy", "opencv-python")


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Sample(_Value):
    """One video of a split."""

    name: str
    label: str
    group: str


class Calibration(_Value):
    """The temperature that was fitted on the windows of the validation part.

    Attributes:
        temperature: replaces that of the recipe's decision.
        videos: how many there were.
        windows: how many they had.
        nll_before: mean negative log-likelihood of these windows at the recipe's temperature, nats.
        nll_after: the same at the fitted one.
    """

    temperature: float = Field(gt=0)
    videos: int
    windows: int
    nll_before: float
    nll_after: float


class RunInfo(_Value):
    """What `run.json` holds."""

    schema_version: int = 1
    labels: tuple[str, ...]
    data_root: str
    dataset: str
    train: tuple[Sample, ...]
    val: tuple[Sample, ...]
    test: tuple[Sample, ...] = ()  # runs of before there was a third part have none
    unreadable: dict[str, str]
    versions: dict[str, str]
    calibration: Calibration | None = None

    @property
    def reported_part(self) -> PartName:
        """The part that the run's figures are of: test, or val where there is no test."""
        return "test" if self.test else "val"

    @property
    def reported(self) -> tuple[Sample, ...]:
        """The videos that the run's figures are of."""
        return self.part(self.reported_part)

    def part(self, name: PartName) -> tuple[Sample, ...]:
        """Return the videos of a part."""
        return {"train": self.train, "val": self.val, "test": self.test}[name]

    @property
    def crossing(self) -> list[str]:
        """Groups that were trained on and are held out too: a split file can make them so."""
        train, *held_out = ({sample.group for sample in self.part(name)} for name in PARTS)
        return groups_on_both_sides(train, *held_out)

    def split_table(self) -> bytes:
        """Return split.csv: path,label,group,part of every video that was read."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("path", "label", "group", "part"))
        for name in PARTS:
            writer.writerows((one.name, one.label, one.group, name) for one in self.part(name))
        return text.getvalue().encode()


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run."""

    directory: Path
    recipe: Recipe
    info: RunInfo

    @property
    def split_name(self) -> str:
        """What the reported part is, for a reader, and the digest of the split's table."""
        return self.name_of(self.info.reported_part)

    def name_of(self, part: PartName) -> str:
        """Return what a part is, for a reader."""
        data = self.recipe.data
        dealt = f"fold {data.fold} of {data.folds} by group, seed {self.recipe.seed}"
        if data.split_file:
            dealt = f"as {data.split_file.name} says"
            if crossing := self.info.crossing:
                dealt += f", {len(crossing)} groups on both sides"
        digest = hashlib.sha256(self.info.split_table()).hexdigest()[:12]
        return f"{part}, {dealt}, {SPLIT_FILE} sha256 {digest}"

    @property
    def decision(self) -> Decision:
        """The recipe's decision, at the temperature that was fitted where one was."""
        if self.info.calibration is None:
            return self.recipe.decision
        return self.recipe.decision.model_copy(update={"temperature": self.info.calibration.temperature})

    def network(self) -> nn.Module:
        """Build the network with the run's weights, in evaluation mode, on the CPU.

        Raises:
            DataError: when the weights are missing, damaged, of another network, or not all finite.
        """
        path = self.directory / MODEL_FILE
        network = build_network(self.recipe, len(self.info.labels))
        try:
            state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
            network.load_state_dict(state)
        except Exception as error:  # torch.load raises what its unpickler meets
            raise DataError(f"{path}: cannot load the weights of this run ({error})") from error
        broken = [name for name, tensor in state.items() if not torch.isfinite(tensor).all()]
        if broken:
            raise DataError(
                f"{path}: {len(broken)} tensors hold NaN or infinity, first {broken[0]}; train again"
            )
        return network.eval()


def build_network(recipe: Recipe, num_classes: int) -> nn.Module:
    """Build the recipe's network with random weights.

    Raises:
        ConfigError: when there is no such network, or it cannot be built with these settings.
    """
    settings = recipe.model
    try:
        network = create_for_input(settings.name, num_classes, recipe.data.input, **settings.arguments)
    except ValueError as error:
        raise ConfigError(f"recipe '{recipe.name}', model: {error}") from error
    if recipe.data.blind:
        blind(network, recipe.data.blind)
    return network


def open_run(directory: Path) -> Run:
    """Read a finished run.

    Raises:
        DataError: when the folder is no run, or the run did not finish.
    """
    if not (directory / INFO_FILE).is_file():
        raise DataError(
            f"{directory} is not a run: it has no {INFO_FILE}; give the --out of vedette-train fit"
        )
    if not (directory / MODEL_FILE).is_file():
        raise DataError(f"{directory} has no {MODEL_FILE}: its training did not finish; go on with --resume")
    return Run(directory, read_recipe(directory), _read_info(directory))


def read_metrics(directory: Path) -> dict[str, Any]:
    """Read the figures of a run of any kind.

    Raises:
        DataError: when it was not evaluated, or they are damaged.
    """
    path = directory / METRICS_FILE
    try:
        metrics: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: cannot be read ({error}); run  vedette-train evaluate {directory}  first"
        ) from error
    return metrics


def read_recipe(directory: Path) -> Recipe:
    """Read the recipe that a run was started with.

    Raises:
        DataError: when it is missing or unreadable.
    """
    path = directory / RECIPE_FILE
    return recipe_from_dict(read_yaml(path), str(path))


def refuse_other_recipe(recipe: Recipe, directory: Path) -> None:
    """Raise when a run was started with another recipe.

    Raises:
        ConfigError: lists what differs.
    """
    before = _flat(read_recipe(directory).model_dump(mode="json"))
    after = _flat(recipe.model_dump(mode="json"))
    changed = [
        f"{key}: {before.get(key)} there, {after.get(key)} now"
        for key in before | after
        if before.get(key) != after.get(key)
    ]
    if changed:
        raise ConfigError(
            f"{directory} was started with another recipe ({'; '.join(changed)}); resume with that one"
        )


def refuse_other_data(info: RunInfo, directory: Path) -> None:
    """Raise when a run was started on other videos: what it validates on, it may have been trained on.

    Raises:
        DataError: names both datasets.
    """
    if not (directory / INFO_FILE).is_file():
        return
    before = _read_info(directory)
    if (before.dataset, before.split_table()) != (info.dataset, info.split_table()):
        raise DataError(
            f"{directory} was started on other videos ({before.data_root}, {before.dataset[:12]}...) than "
            f"there are now ({info.data_root}, {info.dataset[:12]}...); resume with those, or start a new run"
        )


def _read_info(directory: Path) -> RunInfo:
    path = directory / INFO_FILE
    try:
        return RunInfo.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DataError(f"{path}: {describe_errors(error, RunInfo)}") from error


def _flat(data: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in data.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def save_weights(directory: Path, network: nn.Module) -> None:
    """Write the network's weights as `model.pt`."""
    save_state(directory / MODEL_FILE, network)


def save_state(path: Path, network: nn.Module) -> None:
    """Write the network's weights as a plain state dict."""
    state = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def save_start(directory: Path, recipe: Recipe, info: RunInfo) -> None:
    """Write what is known before training: recipe, run.json and split.csv."""
    directory.mkdir(parents=True, exist_ok=True)
    write_atomically(directory / RECIPE_FILE, recipe.to_yaml().encode())
    write_atomically(directory / SPLIT_FILE, info.split_table())
    save_info(directory, info)


def save_info(directory: Path, info: RunInfo) -> None:
    """Write run.json."""
    write_atomically(directory / INFO_FILE, (info.model_dump_json(indent=2) + "\n").encode())


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that shape a run's result."""
    return {name: version(name) for name in _LIBRARIES}
