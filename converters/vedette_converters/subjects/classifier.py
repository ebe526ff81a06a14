"""Runs of video classifiers: windows of videos are judged, by the rules of the run's evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np

from vedette_converters.streaming import streams
from vedette_converters.subjects import Description, Judgeable
from vedette_edge.clips import FrameStream, clip_tensor
from vedette_edge.errors import DataError, UsageError
from vedette_edge.manifest import Label, Provenance
from vedette_edge.types import FloatArray
from vedette_edge.video import read_frames
from vedette_train.calibration_set import take_turns
from vedette_train.data.split import PARTS
from vedette_train.evaluate import dataset_root, video_clips
from vedette_train.models import HeatmapModel
from vedette_train.runs import Run, Sample, library_versions, open_run, stored_metrics

__all__ = ["ClassifierSubject"]


@dataclass(frozen=True)
class ClassifierSubject:
    """A finished run of a classifier; see `Subject`."""

    run: Run
    root: Path
    metrics: dict[str, Any]

    @classmethod
    def open(cls, directory: Path, data: Path | None) -> ClassifierSubject:
        """Open a run; see `open_subject`."""
        run = open_run(directory)
        if run.recipe.data.faithful:
            raise UsageError(
                f"{directory} was trained with data.faithful, and the published data path cannot run on a "
                "device; train it again without"
            )
        return cls(run, dataset_root(run, data), stored_metrics(directory))

    @cached_property
    def network(self) -> HeatmapModel:
        """The trained network."""
        return cast(HeatmapModel, self.run.network())

    @property
    def description(self) -> Description:
        """What the manifest says of it."""
        recipe, info = self.run.recipe, self.run.info
        return Description(
            name=recipe.name.replace("_", "-"),
            architecture=recipe.model.name,
            labels=tuple(Label(name=name, alarm=name not in recipe.data.background) for name in info.labels),
            input=recipe.data.input,
            cells=self.network.heatmap_cells,
            decision=self.run.decision,
            anomaly=None,
            split=self.run.split_name,
            provenance=Provenance(
                created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
                # Where the data lay is the building machine's business.
                recipe=recipe.model_dump(mode="json", exclude={"data": {"root"}}),
                dataset=info.dataset,
                split={part: tuple(sorted({one.group for one in info.part(part)})) for part in PARTS},
                seed=recipe.seed,
                versions=info.versions | library_versions(),
                metrics=self.metrics,
            ),
        )

    @property
    def reported(self) -> int:
        """How many videos the run reports on."""
        return len(self.run.info.reported)

    def judgeables(self) -> Iterator[Judgeable]:
        """Yield the videos that the run reports on."""
        return self._read(self.run.info.reported)

    def calibration(self, count: int) -> Iterator[Judgeable]:
        """Yield videos that the run was trained on."""
        train = self.run.info.train
        if not train:
            raise DataError(f"{self.run.directory} has no training part, which calibration is made of")
        return self._read(take_turns(train, count))

    def _read(self, samples: Iterable[Sample]) -> Iterator[Judgeable]:
        spec, hop = self.run.recipe.data.input, self.run.recipe.decision.hop
        for sample in samples:
            path = self.root / sample.name
            clips = list(video_clips(path, spec, hop))
            yield Judgeable(
                name=sample.name,
                truth=self.run.info.labels.index(sample.label),
                frames=np.stack([np.stack([item.fitted for item in clip.items]) for clip in clips]),
                tensor=np.concatenate([clip_tensor(clip, spec) for clip in clips]),
                stream=self._stream(path) if streams(self.network) else None,
            )

    def _stream(self, path: Path) -> FloatArray:
        spec = self.run.recipe.data.input
        stream = FrameStream(spec)
        tensors = [stream.push(frame)[0] for frame in read_frames(path, spec.fps)]
        return np.concatenate([tensor for tensor in tensors if tensor is not None], axis=2)
