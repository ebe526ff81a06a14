from __future__ import annotations

import cv2
import numpy as np
import pytest
from edge_helpers import FPS, opened, picture, write_video

from vedette_edge.errors import DataError
from vedette_edge.judges import ClipJudge, Verdict
from vedette_edge.probabilities import Scale
from vedette_edge.tuning.clips import LabelledClip
from vedette_edge.tuning.judged import VerdictStore, judge_clip, judge_clips
from vedette_edge.types import Frame


class CountingJudge:
    """Says of every frame how bright it is; remembers how many streams it saw."""

    def __init__(self):
        self.streams = 0

    def push(self, frame: Frame):
        light = np.float32(frame.image.mean() / 255)
        probabilities = np.array([1 - light, light], np.float32)
        verdict = Verdict(frame.time, frame.time, frame.time, probabilities, np.zeros((2, 1, 1, 1)), [frame])
        return [verdict], frame.time == 0

    def finish(self):
        self.streams += 1
        return []


@pytest.fixture
def clips(tmp_path):
    paths = [write_video(tmp_path / f"{name}.mp4", (1, name == "b")) for name in "ab"]
    return [LabelledClip(path, path.name, "calm", path.stem) for path in paths]


def judged(clips, judge, store):
    told = []
    footage = judge_clips(clips, judge, store, lambda *what: told.append(what))
    assert told == [(clip.name, number, len(clips)) for number, clip in enumerate(clips, 1)]
    return footage


def test_a_clip_is_judged_as_the_agent_would(shared_bundle, tmp_path):
    bundle, _, session = opened(shared_bundle)
    video = write_video(tmp_path / "v.mp4", (1, False), (1, True))
    found = judge_clip(video, ClipJudge(bundle.manifest.input, 2, Scale(1.0), session))
    assert found.seconds == pytest.approx(2.0)
    assert len(found.windows) == 1 + (2 * FPS - 4) // 2
    assert [window.anew for window in found.windows] == [True] + [False] * (len(found.windows) - 1)
    assert all(window.middle < window.end for window in found.windows)
    assert found.windows[0].probabilities[1] < 0.1
    assert found.windows[-1].probabilities[1] > 0.9


def test_what_was_judged_is_not_judged_again(clips, tmp_path):
    judge, store = CountingJudge(), VerdictStore(tmp_path / "kept", "digest")
    first = judged(clips, judge, store)
    again = judged(clips, judge, VerdictStore(tmp_path / "kept", "digest"))
    assert again == first
    assert judge.streams == 2


def test_an_interrupted_run_goes_on_where_it_was(clips, tmp_path):
    judge, store = CountingJudge(), VerdictStore(tmp_path / "kept", "digest")
    judged(clips[:1], judge, store)
    assert [sample.clip for sample in judged(clips, judge, store).samples] == clips
    assert judge.streams == 2


def test_another_model_or_a_changed_clip_is_judged_anew(clips, tmp_path):
    judge = CountingJudge()
    judged(clips, judge, VerdictStore(tmp_path / "kept", "digest"))
    judged(clips, judge, VerdictStore(tmp_path / "kept", "another"))
    assert judge.streams == 4
    write_video(clips[0].path, (2, True))
    assert judged(clips, judge, VerdictStore(tmp_path / "kept", "digest")).samples[0].judged.seconds == 2.0
    assert judge.streams == 5


@pytest.mark.parametrize("text", ["", "{", '{"seconds": 1.0}', '{"seconds": NaN, "windows": []}'])
def test_a_damaged_verdict_is_no_answer(clips, tmp_path, text):
    judge, store = CountingJudge(), VerdictStore(tmp_path / "kept", "digest")
    judged(clips[:1], judge, store)
    (file,) = (tmp_path / "kept").iterdir()
    file.write_text(text)
    judged(clips[:1], judge, store)
    assert judge.streams == 2
    assert store.get(clips[0].path) is not None


def test_a_clip_that_cannot_be_decoded_is_left_out_by_name(clips, tmp_path):
    clips[0].path.write_bytes(b"no video")
    footage = judged(clips, CountingJudge(), VerdictStore(tmp_path / "kept", "digest"))
    assert [sample.clip for sample in footage.samples] == clips[1:]
    assert list(footage.refused) == ["a.mp4"]


def test_a_store_that_cannot_be_written_is_told_with_the_remedy(clips, tmp_path):
    (tmp_path / "kept").touch()
    with pytest.raises(DataError, match="give another --cache"):
        judged(clips, CountingJudge(), VerdictStore(tmp_path / "kept", "digest"))


def test_a_clip_of_one_frame_has_a_length(tmp_path):
    (tmp_path / "one").mkdir()
    cv2.imwrite(str(tmp_path / "one" / "1.png"), picture(True))
    assert judge_clip(tmp_path / "one", CountingJudge()).seconds == pytest.approx(0.04)
