"""The reference of drift, from outputs that are known."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from vedette_converters.everyday import statistics_of
from vedette_converters.samples import Samples, Seen
from vedette_edge.manifest import AnomalySpec, Label
from vedette_edge.probabilities import Scale
from vedette_edge.types import Outputs


@dataclass
class Described:
    """What `statistics_of` asks of a description."""

    labels: tuple
    anomaly: AnomalySpec | None = None
    split: str = "test"

    @property
    def scale(self):
        return Scale(1.0, self.anomaly)


def samples(*truths_and_logits):
    clips = []
    for truth, rows in truths_and_logits:
        logits = np.array(rows, np.float32)
        clips.append(Seen(truth, Path("none"), Outputs(logits, logits[:, :, None, None, None]), slice(None)))
    pictures = [np.full((len(clip.reference.logits), 2), [0.2 * (clip.truth + 1), 0.1]) for clip in clips]
    return Samples(clips, pictures, [], SimpleNamespace())


LABELS = (Label(name="calm", alarm=False), Label(name="fight", alarm=True))
CALM, FIGHT = (0, [[4, 0], [0.1, 0]]), (1, [[-4, 0], [-5, 0], [-6, 0]])


def test_only_what_does_not_alarm_is_counted():
    found = statistics_of(samples(CALM, FIGHT), Described(LABELS))
    assert found.windows == 2
    assert found.source == "windows of 1 samples of test that do not alarm"
    assert found.scores == ((0, 0, 0, 0, 0, 1, 0, 0, 0, 1), (1, 0, 0, 0, 1, 0, 0, 0, 0, 0))
    assert (found.brightness.mean, found.brightness.std) == (0.2, 0.0)


def test_where_every_label_alarms_all_are_counted():
    labels = tuple(label.model_copy(update={"alarm": True}) for label in LABELS)
    found = statistics_of(samples(CALM, FIGHT), Described(labels))
    assert found.windows == 5
    assert found.source == "windows of 2 samples of test"
    assert found.brightness.mean == pytest.approx(0.2 * 2 / 5 + 0.4 * 3 / 5)
    assert found.brightness.std > 0
    assert found.contrast.mean == pytest.approx(0.1)


def test_of_anomalies_only_good_pictures_are_counted():
    spec = AnomalySpec(threshold=1.0, scale=0.1, map_low=0.0, map_high=1.0)
    found = statistics_of(
        samples((0, [[0.8]]), (1, [[3.0]])), Described((Label(name="defect", alarm=True),), spec)
    )
    assert found.windows == 1
    assert found.scores == ((0, 1, 0, 0, 0, 0, 0, 0, 0, 0),)
