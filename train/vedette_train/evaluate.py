"""Measures a run on whole videos, with the device's own decoding, sampling and preprocessing.

A video's prediction is the mean of the probabilities of all its windows, the very windows that
`edge-agent` judges, so both give the same labels for the same file. Only where `data.faithful` is set do they
reach the network by the published data path, which no device has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import nn

from vedette_edge.clips import ClipStream, Sampled, clip_tensor
from vedette_edge.errors import DataError
from vedette_edge.manifest import Decision, InputSpec
from vedette_edge.sampling import Clip
from vedette_edge.types import FloatArray
from vedette_edge.video import read_frames
from vedette_train.data import faithful
from vedette_train.data.split import PartName
from vedette_train.predictions import Prediction, predict
from vedette_train.runs import Run, Sample

__all__ = [
    "WindowLogits",
    "dataset_root",
    "evaluate_run",
    "judge_part",
    "maker_of",
    "network_of",
    "predictions_of",
    "video_clips",
    "window_logits",
    "window_probabilities",
    "windows_of",
]

_BATCH = 8

MakeTensor: TypeAlias = Callable[[Clip[Sampled], InputSpec], FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class WindowLogits:
    """What the network says of every window of one video: (N, K) float32, before temperature and softmax."""

    sample: Sample
    logits: FloatArray


def video_clips(path: Path, spec: InputSpec, hop: int) -> Iterator[Clip[Sampled]]:
    """Yield all clips of a video, as the device would see them.

    Args:
        path: the video.
        spec: the network's input.
        hop: sampled frames from one clip to the next.

    Yields:
        At least one clip; a short video's last frame is repeated.

    Raises:
        VideoError: when the video cannot be read.
    """
    stream = ClipStream(spec, hop)
    for frame in read_frames(path, spec.fps):
        yield from stream.push(frame)[0]
    yield from stream.finish()


def window_logits(
    network: nn.Module, path: Path, spec: InputSpec, hop: int, make_tensor: MakeTensor = clip_tensor
) -> FloatArray:
    """Return the logits of each window of a video: (N, K) float32.

    Args:
        network: in evaluation mode, on any device.
        path: the video.
        spec: the network's input.
        hop: sampled frames from one window to the next.
        make_tensor: makes a clip the network's input, (1, C, T, H, W) float32.

    Raises:
        VideoError: when the video cannot be read.
    """
    device = next(network.parameters()).device
    tensors = [make_tensor(clip, spec) for clip in video_clips(path, spec, hop)]
    rows = []
    with torch.inference_mode():
        for batch in torch.split(torch.from_numpy(np.concatenate(tensors)), _BATCH):
            rows.append(network(batch.to(device)).float().cpu())
    return torch.cat(rows).numpy()


def window_probabilities(network: nn.Module, path: Path, spec: InputSpec, decision: Decision) -> FloatArray:
    """Return the class probabilities of each window of a video: (N, K) float32.

    Raises:
        VideoError: when the video cannot be read.
    """
    logits = window_logits(network, path, spec, decision.hop)
    return _probabilities(logits, decision.temperature).astype(np.float32)


def _probabilities(logits: FloatArray, temperature: float) -> NDArray[np.float64]:
    # In double precision: a network that is unsure differs in digits that single precision has not.
    return np.asarray(softmax(logits.astype(np.float64) / temperature, axis=1))


def dataset_root(run: Run, data: Path | None) -> Path:
    """Return the folder of a run's dataset: `data`, or where it was when the run was trained.

    Raises:
        DataError: when the folder is not there.
    """
    root = data or Path(run.info.data_root)
    if not root.is_dir():
        raise DataError(f"{root}: the run's dataset is not there; say where it is with --data DIR")
    return root


def maker_of(run: Run) -> MakeTensor:
    """Return what makes clips the input of the run's network."""
    return faithful.clip_tensor if run.recipe.data.faithful else clip_tensor


def network_of(run: Run) -> nn.Module:
    """Return the run's network in evaluation mode, on the GPU where there is one.

    Raises:
        DataError: when the weights cannot be loaded.
    """
    return run.network().to("cuda" if torch.cuda.is_available() else "cpu")


def judge_part(
    run: Run,
    part: PartName,
    data: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    network: nn.Module | None = None,
) -> list[WindowLogits]:
    """Run the network on every window of every video of a part.

    Args:
        run: a finished run.
        part: "train", "val" or "test"; an empty one gives an empty list.
        data: the dataset's folder, where it moved since the training.
        on_progress: called with (done, total).
        network: to judge by, in evaluation mode; by default the run's own.

    Raises:
        DataError: when a video of the split is missing or cannot be read.
    """
    root = dataset_root(run, data)
    network = network_of(run) if network is None else network
    spec, hop = run.recipe.data.input, run.recipe.decision.hop
    make_tensor = maker_of(run)
    samples, judged = run.info.part(part), []
    for done, sample in enumerate(samples, start=1):
        logits = window_logits(network, root / sample.name, spec, hop, make_tensor)
        judged.append(WindowLogits(sample, logits))
        if on_progress:
            on_progress(done, len(samples))
    return judged


def predictions_of(run: Run, judged: list[WindowLogits]) -> list[Prediction]:
    """Return the prediction of each video, at the temperature of the run's decision."""
    labels, temperature = run.info.labels, run.decision.temperature
    return [predict(item.sample, _probabilities(item.logits, temperature), labels) for item in judged]


def windows_of(run: Run, judged: Sequence[WindowLogits]) -> tuple[FloatArray, NDArray[np.int64]]:
    """Return the logits and the true class of all windows: (N, K) and (N,)."""
    truth = [run.info.labels.index(item.sample.label) for item in judged]
    return np.concatenate([item.logits for item in judged]), np.repeat(truth, [len(i.logits) for i in judged])


def evaluate_run(
    run: Run,
    data: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    part: PartName | None = None,
) -> list[Prediction]:
    """Predict every video of a part of a run; by default of the part that it reports.

    Args:
        run: a finished run.
        data: the dataset's folder, where it moved since the training.
        on_progress: called with (done, total).
        part: "train", "val" or "test".

    Raises:
        DataError: when the part is empty, or one of its videos is missing or cannot be read.
    """
    part = part or run.info.reported_part
    if not run.info.part(part):
        raise DataError(f"{run.directory} has no {part} part; its split is in split.csv")
    return predictions_of(run, judge_part(run, part, data, on_progress))
