from __future__ import annotations

import json

import numpy as np
import pytest
from edge_helpers import FRAMES, edit_manifest

from vedette_edge.bundle import open_bundle
from vedette_edge.drift.features import picture_statistics, score_bins
from vedette_edge.drift.monitor import DriftMonitor
from vedette_edge.drift.reporter import DriftReporter
from vedette_edge.judges import Verdict
from vedette_edge.topics import DriftReport, Topics
from vedette_edge.types import Frame

WINDOW = 100
rng = np.random.default_rng(0)


def verdict(bright, light=100, time=0.0):
    """Return a verdict with P(bright), of pictures around a grey level."""
    image = np.full((48, 64, 3), light, np.uint8)
    image[:24] += 20
    frames = [Frame(image, time + number / 8) for number in range(FRAMES)]
    probabilities = np.float32([1 - bright, bright])
    return Verdict(time, time + 0.4, time + 0.2, probabilities, np.zeros((2, 4, 4, 4), np.float32), frames)


def usual(count):
    """Return verdicts as the reference has them: mostly calm, some doubt."""
    scores = rng.beta(1, 6, count)
    return [
        verdict(float(score), int(light))
        for score, light in zip(scores, rng.normal(100, 10, count), strict=True)
    ]


@pytest.fixture
def manifest(bundle_dir):
    reference = usual(400)
    bins = score_bins(np.stack([one.probabilities for one in reference]))
    seen = np.array([picture_statistics(one.frames[-1].image) for one in reference])

    def edit(values):
        values["statistics"] = {
            "windows": len(reference),
            "source": "test",
            "scores": [np.bincount(column, minlength=10).tolist() for column in bins.T],
            "brightness": {"mean": float(seen[:, 0].mean()), "std": float(seen[:, 0].std())},
            "contrast": {"mean": float(seen[:, 1].mean()), "std": float(seen[:, 1].std())},
        }

    edit_manifest(bundle_dir, edit)
    return open_bundle(bundle_dir).manifest


@pytest.fixture
def monitor(manifest):
    return DriftMonitor(manifest, manifest.statistics, WINDOW)


def drift_of(monitor, verdicts):
    (found,) = [drift for one in verdicts if (drift := monitor.push(one)) is not None]
    return found


def test_what_is_as_usual_has_not_drifted(monitor):
    found = drift_of(monitor, usual(WINDOW))
    assert not found.drifted
    assert found.windows == WINDOW
    assert found.scores["bright"].psi < 0.25
    assert found.scores["bright"].mean == pytest.approx(1 / 7, abs=0.05)
    assert abs(found.pictures["brightness"].deviations) < 1


def test_scores_of_another_distribution_have_drifted(monitor):
    found = drift_of(monitor, [verdict(float(score)) for score in rng.beta(4, 4, WINDOW)])
    assert found.drifted
    assert found.scores["bright"].drifted
    assert found.scores["calm"].drifted
    assert not found.pictures["brightness"].drifted
    assert found.scores["bright"].ks > 0.5


def test_pictures_of_another_brightness_have_drifted(monitor):
    found = drift_of(monitor, [verdict(one.probabilities[1], 20) for one in usual(WINDOW)])
    assert [name for name, one in found.pictures.items() if one.drifted] == ["brightness"]
    assert found.pictures["brightness"].deviations < -3


def test_a_fixed_camera_may_look_more_alike_than_the_reference(monitor):
    found = drift_of(monitor, [verdict(one.probabilities[1], 100) for one in usual(WINDOW)])
    assert not found.drifted


def test_a_figure_stays_drifted_until_it_is_well_below_its_bound(monitor):
    def brightness(light):
        drift = drift_of(monitor, [verdict(one.probabilities[1], light) for one in usual(WINDOW)])
        return drift.pictures["brightness"]

    # One standard deviation is 10 grey levels.
    assert [brightness(light).drifted for light in (126, 134, 126, 115, 126)] == [
        False,
        True,
        True,
        False,
        False,
    ]


def test_the_share_of_unsure_verdicts_is_counted(monitor):
    scores = [0.5] * 30 + [0.05] * 70
    assert drift_of(monitor, map(verdict, scores)).unsure == 0.3


def test_each_window_is_compared_by_itself(monitor):
    found = [monitor.push(one) for one in usual(3 * WINDOW)]
    assert [number + 1 for number, one in enumerate(found) if one] == [WINDOW, 2 * WINDOW, 3 * WINDOW]


def test_a_report_is_retained_under_camera_and_model(monitor):
    sent = []
    report = DriftReporter(
        monitor,
        topics=Topics("hall", "n1"),
        camera="door",
        model="main",
        model_sha256="0" * 64,
        boot="boot",
        publish=sent.append,
        now=lambda: 1000.0,
    )
    for one in usual(WINDOW):
        report(one)
    (message,) = sent
    assert (message.topic, message.retain) == ("vedette/v1/hall/n1/cam/door/drift/main", True)
    payload = DriftReport.model_validate_json(message.payload)
    assert (payload.ts, payload.windows, payload.drifted) == (1000.0, WINDOW, False)
    assert json.loads(message.payload)["scores"].keys() == {"calm", "bright"}
