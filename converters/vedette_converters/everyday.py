"""What the PyTorch network says and sees of everyday footage: what a device measures drift against.

A dataset has as many alarms as could be found, a camera hardly ever one. So only samples whose label does not
alarm are counted, where there are such labels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vedette_converters.samples import Samples
from vedette_converters.subjects import Description
from vedette_edge.drift.features import BINS, score_bins
from vedette_edge.manifest import Spread, Statistics

__all__ = ["statistics_of"]


def statistics_of(samples: Samples, description: Description) -> Statistics:
    """Return the statistics of the samples that a run reports on."""
    alarms = [label.alarm for label in description.labels]
    # The truth of an anomaly's sample is 1 where it is one.
    quiet = {0} if description.anomaly else {index for index, alarm in enumerate(alarms) if not alarm}
    chosen = [index for index, seen in enumerate(samples.clips) if seen.truth in quiet]
    which = f"of {description.split} that do not alarm" if chosen else f"of {description.split}"
    chosen = chosen or list(range(len(samples.clips)))
    logits = np.concatenate([samples.clips[index].reference.logits for index in chosen])
    pictures = np.concatenate([samples.pictures[index] for index in chosen])
    bins = score_bins(description.scale.probabilities(logits))
    return Statistics(
        windows=len(logits),
        source=f"windows of {len(chosen)} samples {which}",
        scores=tuple(tuple(np.bincount(label, minlength=BINS).tolist()) for label in bins.T),
        brightness=_spread(pictures[:, 0]),
        contrast=_spread(pictures[:, 1]),
    )


def _spread(values: NDArray[np.float32]) -> Spread:
    return Spread(mean=round(float(values.mean()), 5), std=round(float(values.std()), 5))
