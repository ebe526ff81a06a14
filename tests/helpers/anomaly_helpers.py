"""A tiny anomaly dataset, recipe and run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vedette_train.anomaly.recipe import AnomalyRecipe, anomaly_recipe_from_dict
from vedette_train.anomaly.textures import write_textures


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
