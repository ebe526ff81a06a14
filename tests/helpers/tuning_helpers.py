"""Judged clips without a model: the scores are given."""

from __future__ import annotations

from pathlib import Path

from vedette_edge.manifest import Decision
from vedette_edge.tuning.clips import LabelledClip
from vedette_edge.tuning.judged import Judged, Sample, Window

LABELS = {"fight": 1}


def decision(**changes):
    values = {
        "on_threshold": 0.5,
        "off_threshold": 0.25,
        "min_duration": 0.0,
        "cooldown": 0.0,
        "smoothing": 1,
        "hop": 1,
        "temperature": 1.0,
    }
    return Decision(**(values | changes))


def sample(label, scores, group="g", anew=()):
    """Return a clip with a window each second, the first known after one; `anew` are windows after a gap."""
    windows = tuple(
        Window(middle=i + 0.5, end=i + 1.0, probabilities=(1 - score, score), anew=i == 0 or i in anew)
        for i, score in enumerate(scores)
    )
    name = f"{label}/{group}.mp4"
    clip = LabelledClip(Path(name), name, label, str(group))
    return Sample(clip, Judged(seconds=float(max(1, len(scores))), windows=windows))
