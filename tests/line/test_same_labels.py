"""The main promise: the device gives a video the label that `evaluate` gives it, on original files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import numpy as np
import pytest
import yaml
from train_helpers import recipe_values, write_dataset

from vedette_converters.convert import convert
from vedette_train.evaluate import window_probabilities
from vedette_train.fit import fit
from vedette_train.predictions import read_predictions
from vedette_train.recipe import Recipe, recipe_from_dict
from vedette_train.runs import PREDICTIONS_FILE, Run

ACTIONS = Path(__file__).parents[3] / "shared" / "data" / "actions"
# Short ones of two classes, two sources each, so that a split by group has videos on both sides.
CHOSEN = {
    "push_up": ("push-up_1.mp4", "push-up_2.mp4", "push-up_17.mp4", "push-up_20.mp4"),
    "pull_up": ("pull-up_6.mp4", "pull-up_7.mp4", "pull-up_23.mp4", "pull-up_24.mp4"),
}


def recipe(**changes: object) -> Recipe:
    return recipe_from_dict(recipe_values({"train.epochs": 1, "name": "line"} | changes), "the test")


def scores_of_the_agent(run: Run, data: Path, folder: Path) -> dict[str, list[dict[str, float]]]:
    """Let `edge-agent` watch every test video; return the probabilities of each window."""
    cameras = {f"cam-{number}": sample.name for number, sample in enumerate(run.info.test)}
    settings = {
        "site": "test",
        "node": "line",
        "bundle": str(folder / "bundle"),
        "state_dir": str(folder / "state"),
        "mqtt": {"host": "127.0.0.1", "port": 9},  # nobody listens: judging must not depend on a broker
        "drain_timeout": 0,
        "cameras": [
            {"id": camera, "source": {"type": "file", "path": str(data / name), "pace": "fast"}}
            for camera, name in cameras.items()
        ],
    }
    (folder / "agent.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    scores = folder / "scores.jsonl"
    command = [
        sys.executable,
        "-m",
        "vedette_edge",
        "run",
        "--config",
        folder / "agent.yaml",
        "--scores",
        scores,
    ]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode in (0, 1), done.stderr
    rows = defaultdict(list)
    for line in scores.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        rows[cameras[row["camera"]]].append(row["probabilities"])
    return rows


def assert_agent_agrees(run: Run, data: Path, folder: Path) -> None:
    convert(run.directory, folder / "bundle", data=data)
    found = scores_of_the_agent(run, data, folder)
    network = run.network()
    for prediction in read_predictions(run.directory / PREDICTIONS_FILE)[1]:
        name = prediction.sample.name
        expected = window_probabilities(network, data / name, run.recipe.data.input, run.decision)
        of_agent = np.array([[row[label] for label in run.info.labels] for row in found[name]])
        np.testing.assert_allclose(of_agent, expected, atol=1e-4)
        assert run.info.labels[int(of_agent.mean(axis=0).argmax())] == prediction.label


@pytest.mark.slow
@pytest.mark.parametrize("temporal", ["none", "difference"])
def test_on_drawn_videos_the_agent_gives_the_labels_of_evaluate(tmp_path, temporal):
    data = write_dataset(tmp_path / "data")
    run = fit(recipe(**{"data.input.temporal": temporal}), data, tmp_path / "run", cache=tmp_path / "cache")
    assert_agent_agrees(run, data, tmp_path)


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.skipif(not ACTIONS.is_dir(), reason="the shared exercise videos are not here")
def test_on_original_videos_the_agent_gives_the_labels_of_evaluate(tmp_path):
    data = tmp_path / "data"
    rows = ["path,label,group"]
    for label, names in CHOSEN.items():
        (data / label).mkdir(parents=True)
        for number, name in enumerate(names):
            (data / label / name).symlink_to(ACTIONS / label / name)
            rows.append(f"{label}/{name},{label},source-{number // 2}")
    (data / "groups.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    settings = {"data.input.height": 64, "data.input.width": 96, "data.input.frames": 8}
    run = fit(recipe(**settings), data, tmp_path / "run", cache=tmp_path / "cache")
    assert_agent_agrees(run, data, tmp_path)
