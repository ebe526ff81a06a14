from __future__ import annotations

import numpy as np
from edge_helpers import FPS, FRAMES
from judge_helpers import shades

from vedette_edge.config import ModelConfig
from vedette_edge.engine import open_model
from vedette_edge.ota.tap import TappedJudge

FRAMES_OF = shades(np.arange(2 * FRAMES) / FPS)


def judge_of(bundle):
    model = open_model(ModelConfig(bundle=bundle))
    return model.judge(model.manifest.decision)


def test_whoever_looks_on_sees_each_frame_and_what_was_said_and_changes_nothing(shared_bundle):
    seen = []
    judge = TappedJudge(judge_of(shared_bundle), lambda *what: seen.append(what))
    judge.set_hop_factor(1)
    found = [judge.push(frame) for frame in FRAMES_OF]
    plain = judge_of(shared_bundle)
    wanted = [plain.push(frame) for frame in FRAMES_OF]
    assert [(len(verdicts), anew) for verdicts, anew in found] == [(len(v), anew) for v, anew in wanted]
    assert [frame for frame, _ in seen] == FRAMES_OF
    assert [verdicts for _, verdicts in seen] == [verdicts for verdicts, _ in found]
    judge.finish()
    assert seen[-1] == (None, [])


def test_one_who_looks_on_and_stumbles_costs_no_alarm_and_one_line(shared_bundle, caplog):
    def stumble(*_):
        raise ValueError("a defect")

    judge = TappedJudge(judge_of(shared_bundle), stumble)
    assert sum(len(judge.push(frame)[0]) for frame in FRAMES_OF) == 3
    assert caplog.text.count("cannot tell") == 1
