"""A finished run of anomaly detection: clips of one picture, its score as the logit, its map as the heatmap.

What is reported is the test pictures that the run was judged on or, without a test, the good ones that were
held out. Runs with `faithful` are converted like others: their pictures pass the device's own steps, only
without normalisation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from vedette_converters.subjects import Description, Judgeable
from vedette_edge.errors import DataError
from vedette_edge.manifest import AnomalySpec, Decision, Label, Provenance
from vedette_edge.preprocess import fit, to_tensor
from vedette_train.anomaly.clips import ClipDetector
from vedette_train.anomaly.compare import read_scored
from vedette_train.anomaly.evaluate import judge
from vedette_train.anomaly.images import read_image
from vedette_train.anomaly.run import AnomalyRun, Calibration, open_anomaly_run
from vedette_train.console import progress
from vedette_train.runs import PREDICTIONS_FILE, library_versions, read_metrics

__all__ = ["AnomalySubject", "score_scale"]

# For single pictures: each one counts, and an end must be a little clearer than a beginning.
_DECISION = Decision(
    on_threshold=0.5, off_threshold=0.4, min_duration=0.0, cooldown=2.0, smoothing=1, hop=1, temperature=1.0
)
_LEAST_SCALE = 1e-3  # of the threshold


@dataclass(frozen=True, slots=True)
class _Sample:
    """A picture of the dataset, by its path below the root."""

    name: str
    bad: bool


class AnomalySubject:
    """A `Subject` of anomaly detection."""

    def __init__(
        self,
        network: ClipDetector,
        description: Description,
        run: AnomalyRun,
        root: Path,
        reported: Sequence[_Sample],
    ) -> None:
        """Use `AnomalySubject.open`."""
        self.network = network
        self.description = description
        self._run = run
        self._root = root
        self._reported = reported

    @classmethod
    def open(cls, directory: Path, data: Path | None = None) -> AnomalySubject:
        """Open a finished run; judges the pictures that it held out, for the scale of its scores.

        Args:
            directory: the run.
            data: its dataset, where it moved.

        Raises:
            DataError: when the run cannot be read, was not evaluated, or its dataset or one of the pictures
                that it held out is not there.
        """
        run = open_anomaly_run(directory)
        metrics = read_metrics(directory)
        root = data or Path(run.info.data_root)
        if not root.is_dir():
            raise DataError(f"{root}: the run's dataset is not there; say where it is with --data DIR")
        reported = _reported(run, metrics)
        detector, calibration = run.detector()
        held_out = [root / name for name in run.info.held_out]
        with progress("judge held-out pictures") as on_progress:
            scores = [one.score for one in judge(detector, held_out, run.recipe, on_progress)]
        network = ClipDetector(detector, run.recipe.stride).eval()
        description = _describe(run, network, calibration, scores, reported, metrics)
        return cls(network, description, run, root, reported)

    @property
    def reported(self) -> int:
        """How many pictures the run reports on."""
        return len(self._reported)

    def judgeables(self) -> Iterator[Judgeable]:
        """Yield the pictures that the run reports on, good ones first.

        Raises:
            DataError: when a picture is not there.
        """
        return (self._judgeable(sample) for sample in self._reported)

    def calibration(self, count: int) -> Iterator[Judgeable]:
        """Yield `count` pictures that the run was trained on, evenly spread, always the same; or all of them.

        Raises:
            DataError: when a picture is not there.
        """
        names = self._run.info.train
        chosen = np.linspace(0, len(names) - 1, min(count, len(names))).round().astype(int)
        return (self._judgeable(_Sample(names[index], bad=False)) for index in chosen)

    def _judgeable(self, sample: _Sample) -> Judgeable:
        recipe, spec = self._run.recipe, self._run.recipe.spec
        fitted = fit(read_image(self._root / sample.name, recipe.data.input.white), spec)
        frames, tensor = fitted[np.newaxis, np.newaxis], to_tensor([fitted], spec)
        return Judgeable(sample.name, int(sample.bad), frames, tensor)


def score_scale(scores: Sequence[float], threshold: float) -> float:
    """Return the `AnomalySpec.scale` for scores of good pictures that were not trained on.

    It is their standard deviation, so that the probability rises over what good pictures differ by: with the
    threshold at mean + 3 deviations the mean good picture has 0.05. It is at least a thousandth of the
    threshold, because pictures that are all alike would make a step of it.
    """
    return max(float(np.std(scores)), _LEAST_SCALE * abs(threshold), 1e-6)


def _reported(run: AnomalyRun, metrics: dict[str, Any]) -> list[_Sample]:
    if not _tested(metrics):
        return [_Sample(name, bad=False) for name in run.info.held_out]
    return [_Sample(row.picture, row.bad) for row in read_scored(run.directory / PREDICTIONS_FILE)]


def _tested(metrics: dict[str, Any]) -> bool:
    return "image_auroc" in metrics


def _describe(
    run: AnomalyRun,
    network: ClipDetector,
    calibration: Calibration,
    scores: Sequence[float],
    reported: Sequence[_Sample],
    metrics: dict[str, Any],
) -> Description:
    recipe, info = run.recipe, run.info
    bad = sum(sample.bad for sample in reported)
    part = "test" if _tested(metrics) else "held out"
    return Description(
        name=recipe.name.replace("_", "-"),
        architecture="-".join((recipe.anomaly.method, recipe.backbone.name, *recipe.backbone.layers)),
        labels=(Label(name="anomaly", alarm=True),),
        input=recipe.spec,
        cells=network.heatmap_cells,
        decision=_DECISION,
        anomaly=AnomalySpec(
            threshold=calibration.threshold,
            scale=score_scale(scores, calibration.threshold),
            map_low=calibration.map_low,
            map_high=calibration.map_high,
        ),
        split=f"{part}, {len(reported) - bad} good and {bad} bad pictures, sha256 {info.dataset[:12]}",
        provenance=Provenance(
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            # Where the data lay is the building machine's business.
            recipe=recipe.model_dump(mode="json", exclude={"data": {"root"}}),
            dataset=info.dataset,
            # The run does not keep which pictures are twins, so each stands for itself.
            split={
                "train": info.train,
                "held_out": info.held_out,
                "test": tuple(sample.name for sample in reported) if _tested(metrics) else (),
            },
            seed=recipe.seed,
            versions=info.versions | library_versions(),
            metrics=metrics,
        ),
    )
