"""A tiny anomaly dataset, recipe and run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import torch

from vedette_train.anomaly.detectors import Detector, build_detector
from vedette_train.anomaly.recipe import AnomalyRecipe, anomaly_recipe_from_dict
from vedette_train.anomaly.textures import write_textures
from vedette_train.anomaly.training import fit_anomaly


def anomaly_values(**changes: Any) -> dict[str, Any]:
    """Return a tiny recipe as it stands in a YAML file; `train__epochs=3` changes `train.epochs`."""
    values: dict[str, Any] = {
        "task": "anomaly",
        "name": "tiny",
        "seed": 3,
        "data": {"input": {"height": 64, "width": 64}, "val_share": 0.3},
        "backbone": {"name": "mobilenet_v2", "layers": ["layer1", "layer2"], "weights": None},
        "anomaly": {"latent_dim": 8, "border": 1, "top_k": 5},
        "train": {"epochs": 2, "batch_size": 4, "device": "cpu"},
        "pictures": {"panels": 2, "dpi": 40, "figure_size": [8.0, 3.0]},
    }
    for key, value in changes.items():
        *sections, last = key.split("__")
        place = values
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return values


def tiny_anomaly(**changes: Any) -> AnomalyRecipe:
    """Return a recipe that trains in a second."""
    return anomaly_recipe_from_dict(anomaly_values(**changes), "the tiny recipe")


def write_surfaces(root: Path, seed: int = 0) -> Path:
    """Write 12 good pictures to train on, 4 good and 6 bad ones with masks to test on."""
    write_textures(root, train=12, good=4, bad=6, side=64, seed=seed)
    return root


def prepared_surfaces(base: Path) -> Path:
    """Return the session's dataset below `base`, written once; no test may change it."""
    root = base / "surfaces"
    return root if root.is_dir() else write_surfaces(root)


def trained_anomaly(base: Path) -> Path:
    """Return the session's trained run below `base`, trained once; no test may change it."""
    run = base / "tiny-anomaly"
    if not run.is_dir():
        fit_anomaly(tiny_anomaly(), prepared_surfaces(base), run)
    return run


# One entry for each graph that a detector can be.
KINDS: dict[str, dict[str, Any]] = {
    "featcae": {"anomaly__method": "featcae"},
    "featcae, relative": {
        "anomaly__method": "featcae",
        "anomaly__relative": 0.5,
        "anomaly__standardise": True,
    },
    "defects": {"anomaly__method": "defects", "anomaly__relative": 0.9},
    "defects and patches": {
        "anomaly__method": "defects",
        "anomaly__relative": 0.9,
        "anomaly__patches": 50,
    },
}


def untrained_detector(seed: int = 0, **changes: Any) -> Detector:
    """Return a tiny detector with random weights, its statistics and patches from noise."""
    torch.manual_seed(seed)
    recipe = tiny_anomaly(**changes)
    detector = build_detector(recipe)
    if detector.measures:
        noise = (torch.randn(1, 3, recipe.spec.height, recipe.spec.width) for _ in range(3))
        with torch.no_grad():
            detector.begin([detector.features(images) for images in noise], seed)
    return detector
