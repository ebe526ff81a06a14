"""How steady a network is from frame to frame."""

import csv
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import rel_entr
from train_helpers import LABELS, backdrop, moving_square, write_pictures

from vedette_edge.video import read_frames
from vedette_train.explain.stability import Steadiness, divergence, drawn_of, flips, measure, summarise
from vedette_train.explain.stability_report import (
    film_of_steadiness,
    steadiness_table,
    write_steadiness,
    write_summary,
)
from vedette_train.explain.subjects import Subject
from vedette_train.explain.view import Footage


def subject(path, truth=None, group=None):
    return Subject(path, path.name, path.stem, truth, group or path.name)


def judged(name, labels, truth, group=None, jitter=0.5):
    """Return a video whose windows, a second apart, have these labels (0 or 1)."""
    rows = np.array([(0.9, 0.1) if label == 0 else (0.2, 0.8) for label in labels], np.float32)
    jitters = np.full(len(labels), jitter, np.float32)
    jitters[0] = np.nan
    return Steadiness(
        Subject(name, name, name, truth, group or name),
        Footage(),
        tuple(range(len(labels))),
        np.arange(float(len(labels))),
        rows,
        jitters,
        np.full(len(labels), np.nan, np.float32),
    )


distributions = st.lists(st.floats(0, 1), min_size=4, max_size=4).filter(lambda row: sum(row) > 0.1)


@given(distributions, distributions)
def test_divergence_is_that_of_kullback_and_leibler(first, second):
    p, q = (np.array([row], np.float32) / np.float32(sum(row)) for row in (first, second))
    found = divergence(p, q)[0]
    assert np.isfinite(found)
    assert found >= -1e-5
    if (q > 1e-30).all():
        assert found == pytest.approx(rel_entr(p, q).sum(), abs=1e-4)


def test_on_a_still_picture_a_network_is_steady(run, tmp_path):
    path = write_pictures(tmp_path / "still.mp4", [backdrop(1)] * 10)
    one = measure(run.network(), subject(path), run.recipe.data.input, run.recipe.decision)
    assert one.frames == (3, 4, 5, 6, 7, 8, 9)
    assert one.times == pytest.approx(np.arange(3, 10) / 8)
    assert np.nanmax(one.jitter) < 1e-4
    assert np.nanmax(one.kl_error) < 1e-4


def test_the_later_clip_begins_one_frame_of_the_camera_later(run, tmp_path):
    """At the camera's own rate the later clip is the next window."""
    path = write_pictures(tmp_path / "a.mp4", moving_square("left", 0, 30))
    done = []
    one = measure(
        run.network(),
        subject(path),
        run.recipe.data.input,
        run.recipe.decision,
        lambda *pair: done.append(pair),
    )
    rows = one.probabilities
    there, back = rel_entr(rows[:-1], rows[1:]).sum(axis=1), rel_entr(rows[1:], rows[:-1]).sum(axis=1)
    assert there.max() > 1e-3
    assert np.isnan(one.jitter[0])
    assert one.jitter[1:] == pytest.approx(there, abs=1e-4)
    assert one.kl_error[:-1] == pytest.approx((there + back) / 2, abs=1e-4)
    assert np.isnan(one.kl_error[-1])
    assert done[-1] == (30, 30)


def test_a_fast_camera_is_sampled_at_the_networks_rate_from_two_frames(run, tmp_path):
    """Every third frame is sampled: the windows begin three frames apart, the later clips one frame after."""
    pictures = moving_square("left", 0, 25)
    path = write_pictures(tmp_path / "fast.mp4", pictures, fps=24.0)
    network, spec, decision = run.network(), run.recipe.data.input, run.recipe.decision
    one = measure(network, subject(path), spec, decision)
    assert one.frames == (9, 12, 15, 18, 21, 24)
    decoded = [frame.image for frame in read_frames(path)]

    def alone(first):
        from vedette_edge.preprocess import fit, to_tensor

        tensor = to_tensor([fit(decoded[first + 3 * step], spec) for step in range(4)], spec)
        with torch.no_grad():
            return torch.softmax(network(torch.from_numpy(tensor)) / decision.temperature, dim=1).numpy()

    for index, begin in enumerate(range(0, 15, 3)):
        first, later = alone(begin), alone(begin + 1)
        assert one.probabilities[index] == pytest.approx(first[0], abs=1e-5)
        wanted = (rel_entr(first, later).sum() + rel_entr(later, first).sum()) / 2
        assert one.kl_error[index] == pytest.approx(wanted, abs=1e-4)
    assert np.isnan(one.kl_error[5])


@pytest.mark.parametrize("pictures", [1, 3])
def test_a_short_video_has_one_window(pictures, run, tmp_path):
    path = write_pictures(tmp_path / "short.mp4", moving_square("left", 0, pictures))
    one = measure(run.network(), subject(path), run.recipe.data.input, run.recipe.decision)
    assert one.frames == (pictures - 1,)
    assert np.isnan(one.jitter).all()
    assert np.isnan(one.kl_error).all() == (pictures == 1)
    summary = summarise([one], LABELS)
    assert summary["flips_per_minute"] is None
    assert summary["accuracy"] is None


def test_a_video_becomes_a_table_a_plot_and_a_film(run, tmp_path):
    path = write_pictures(tmp_path / "a.mp4", moving_square("left", 0, 12))
    one = measure(run.network(), subject(path, "left"), run.recipe.data.input, run.recipe.decision)
    write_steadiness(one, LABELS, tmp_path)
    with (tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["frame", "time", "label", "confidence", "correct", "jitter", "kl_error"]
    assert [row["frame"] for row in rows] == [str(number) for number in range(3, 12)]
    assert rows[0]["jitter"] == rows[-1]["kl_error"] == ""
    assert float(rows[1]["jitter"]) == pytest.approx(float(one.jitter[1]), abs=1e-5)
    assert [row["correct"] for row in rows] == [str(int(row["label"] == "left")) for row in rows]
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    film_of_steadiness(one, LABELS, tmp_path / "film.mp4")
    assert len(list(read_frames(tmp_path / "film.mp4"))) == 12


def test_the_summary_adds_up_over_videos():
    found = [
        judged("a", [0, 0, 1, 0, 0, 0, 0], "left", jitter=0.2),
        judged("b", [1, 1, 1, 1], "right", jitter=0.6),
        judged("c", [0, 1, 0, 1], None, jitter=1.0),
    ]
    summary = summarise(found, LABELS)
    assert summary["accuracy"].value == pytest.approx(10 / 11)
    assert summary["accuracy"].samples == 2
    assert summary["jitter"].value == pytest.approx((6 * 0.2 + 3 * 0.6 + 3 * 1.0) / 12)
    assert summary["kl_error"] is None
    flips = summary["flips_per_minute"]
    assert flips.value == pytest.approx(5 / 12 * 60)
    assert 0 <= flips.low < flips.value < flips.high <= 60


def test_a_flip_is_a_window_unlike_the_one_before():
    assert flips(["a", "a", "b", "a", "a"]) == [2, 3]
    assert flips(["a"]) == []


def test_groups_are_drawn_where_there_are_some():
    apart = [judged(f"{i}", [0, 1] * 4, None, f"person {i % 2}", jitter=i) for i in range(6)]
    assert drawn_of(apart) == "groups"
    assert summarise(apart, LABELS)["jitter"].samples == 2
    together = [judged(f"{i}", [0, 1] * 4, None, "one person", jitter=i) for i in range(6)]
    assert drawn_of(together) == "videos"
    jitter = summarise(together, LABELS)["jitter"]
    assert jitter.samples == 6
    assert 0 < jitter.low < 2.5 < jitter.high < 5


def test_the_summary_is_written_and_shown(tmp_path):
    from rich.console import Console

    found = [judged("a", [0, 1, 1], None)]
    summary = write_summary(found, LABELS, tmp_path)
    stored = json.loads((tmp_path / "summary.json").read_text())
    assert (stored["videos"], stored["drawn"], stored["accuracy"]) == (1, "videos", None)
    assert stored["jitter"]["value"] == pytest.approx(0.5)
    console = Console(width=100, record=True)
    console.print(steadiness_table(summary, "videos"))
    text = console.export_text()
    assert "needs two videos" in text
    assert "not known" in text
