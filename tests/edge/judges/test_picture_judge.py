from __future__ import annotations

import threading

import numpy as np
import pytest
from edge_helpers import FPS, GRID, input_spec, picture, scene

from vedette_edge.judges import PictureJudge
from vedette_edge.manifest import AnomalySpec
from vedette_edge.probabilities import Scale
from vedette_edge.types import Frame, Outputs

SPEC = input_spec(frames=1)
SCALE = Scale(anomaly=AnomalySpec(threshold=0.2, scale=0.05, map_low=0.0, map_high=1.0))


class Brightness:
    """The mean brightness of a picture is its score."""

    def __init__(self):
        self.shapes = []

    def run(self, clips):
        self.shapes.append(clips.shape)
        score = clips.mean(dtype=np.float32).reshape(1, 1)
        return Outputs(score, np.broadcast_to(score[:, :, None, None, None], (1, 1, 1, GRID, GRID)))


def judge_of(every=1 / FPS):
    return PictureJudge(SPEC, SCALE, Brightness(), every=every)


def times(judge, frames):
    return [verdict.middle for frame in frames for verdict in judge.push(frame)[0]]


def test_a_picture_is_judged_alone_at_its_own_time():
    session = Brightness()
    judge = PictureJudge(SPEC, SCALE, session, every=1.0)
    frame = Frame(picture(light=True), 3.5)
    ((verdict,), anew) = judge.push(frame)
    assert anew
    assert (verdict.start, verdict.middle, verdict.end) == (3.5, 3.5, 3.5)
    assert verdict.frames == [frame]
    assert verdict.heatmap.shape == (1, 1, GRID, GRID)
    assert session.shapes == [(1, 3, 1, SPEC.height, SPEC.width)]
    # 0.25 of its area is white: one scale above the threshold.
    assert verdict.probabilities == pytest.approx([1 / (1 + np.exp(-1))], abs=1e-3)


@pytest.mark.parametrize(("every", "wanted"), [(0.5, [0.0, 0.52, 1.0, 1.52]), (1.0, [0.0, 1.0]), (None, [])])
def test_one_picture_every_so_many_seconds_of_the_stream_is_judged(every, wanted):
    assert times(judge_of(every), scene((2, False))) == pytest.approx(wanted)


def test_a_trigger_has_the_next_picture_judged_once():
    judge, frames = judge_of(every=None), scene((1, False))
    assert times(judge, frames[:5]) == []
    judge.trigger()
    judge.trigger()
    assert times(judge, frames[5:]) == [frames[5].time]


def test_a_trigger_comes_on_top_of_the_pictures_that_are_due():
    judge, frames = judge_of(every=1.0), scene((1.2, False))
    found = times(judge, frames[:10])
    trigger = threading.Thread(target=judge.trigger)
    trigger.start()
    trigger.join()
    assert found + times(judge, frames[10:]) == [0.0, frames[10].time, 1.0]


def test_with_a_hop_factor_pictures_are_rarer_and_triggers_are_obeyed():
    judge = judge_of(every=0.2)
    judge.set_hop_factor(4)
    assert times(judge, scene((2, False))) == pytest.approx([0.0, 0.8, 1.6])
    judge.trigger()
    assert times(judge, [Frame(picture(light=False), 2.0)]) == [2.0]


def test_after_a_gap_and_after_the_end_the_stream_begins_anew():
    judge = judge_of(every=1.0)
    dark = picture(light=False)
    pushes = [judge.push(Frame(dark, time)) for time in (0.0, 0.5, 10.0)]
    assert [(len(verdicts), anew) for verdicts, anew in pushes] == [(1, True), (0, False), (1, True)]
    assert judge.finish() == []
    verdicts, anew = judge.push(Frame(dark, 10.2))
    assert (len(verdicts), anew) == (1, True)
