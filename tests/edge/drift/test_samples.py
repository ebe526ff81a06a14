from __future__ import annotations

import json
import threading

import numpy as np
import pytest
from edge_helpers import wait_until

from vedette_edge.drift.samples import SampleKeeper, UnsureSample
from vedette_edge.errors import ConfigError
from vedette_edge.judges import Verdict
from vedette_edge.types import Frame
from vedette_edge.video import read_frames

LABELS = ("calm", "bright")


def sample(bright=0.5, time=0.0, camera="door", frames=3, size=(48, 64)):
    noise = np.random.default_rng(0)
    pictures = [
        Frame(noise.integers(0, 256, (*size, 3), dtype=np.uint8), number / 8) for number in range(frames)
    ]
    heatmap = np.zeros((2, 1, 1, 1), np.float32)
    verdict = Verdict(1.0, 2.0, 1.5, np.float32([1 - bright, bright]), heatmap, pictures)
    return UnsureSample(camera, "main", "0" * 64, LABELS, 8.0, time, verdict)


@pytest.fixture
def keeping(tmp_path):
    """Return a function that gives samples to a keeper and returns which it took, and the folder."""

    def keeping(samples, max_bytes=10_000_000, interval=0.0, **options):
        keeper = SampleKeeper(tmp_path / "samples", max_bytes, max_margin=0.2, interval=interval, **options)
        taken = []
        for one in samples:
            # One after the other, so that the writer is free.
            taken.append(keeper.offer(one))
            wait_until(lambda: not keeper.busy)
        keeper.close()
        return taken, tmp_path / "samples"

    return keeping


def kept(folder):
    return sorted(path for path in folder.iterdir())


def test_an_unsure_sample_is_a_folder_that_training_reads_as_a_video(keeping):
    taken, folder = keeping([sample()])
    (found,) = kept(folder)
    assert taken == [True]
    assert found.name.endswith("-door-main")
    assert [frame.image.shape for frame in read_frames(found)] == [(48, 64, 3)] * 3
    assert json.loads((found / "sample.json").read_text()) == {
        "camera": "door",
        "model": "main",
        "model_sha256": "0" * 64,
        "time": 0.0,
        "start": 1.0,
        "end": 2.0,
        "fps": 8.0,
        "probabilities": {"calm": 0.5, "bright": 0.5},
    }


def test_a_sure_one_is_not_kept(keeping):
    taken, folder = keeping([sample(0.7), sample(0.55), sample(0.3)])
    assert taken == [False, True, False]
    assert len(kept(folder)) == 1


def test_samples_of_a_camera_are_some_time_apart(keeping):
    times = [(0.0, "door"), (30.0, "door"), (30.0, "gate"), (61.0, "door")]
    taken, _ = keeping([sample(time=time, camera=camera) for time, camera in times], interval=60.0)
    assert taken == [True, False, True, True]


def test_the_oldest_go_when_the_quota_is_full(keeping):
    _, folder = keeping([sample(camera="first")])
    size = sum(path.stat().st_size for path in kept(folder)[0].iterdir())
    # A new keeper knows those of before.
    keeping([sample(camera=name) for name in ("second", "third")], max_bytes=round(2.5 * size))
    assert [path.name.split("-")[1] for path in kept(folder)] == ["second", "third"]


def test_a_sample_larger_than_the_quota_is_not_kept(keeping):
    _, folder = keeping([sample()], max_bytes=100)
    assert kept(folder) == []


def test_large_pictures_are_kept_smaller(keeping):
    _, folder = keeping([sample(size=(720, 1280), frames=1)])
    assert [frame.image.shape for frame in read_frames(kept(folder)[0])] == [(360, 640, 3)]


def test_what_nobody_may_see_is_hidden(keeping):
    _, folder = keeping([sample()], redact=lambda _, image: np.zeros_like(image))
    assert max(frame.image.max() for frame in read_frames(kept(folder)[0])) == 0


def test_what_was_cut_off_is_removed_at_the_next_start(keeping, tmp_path):
    (tmp_path / "samples" / ".unfinished-x").mkdir(parents=True)
    _, folder = keeping([])
    assert kept(folder) == []


def test_a_sample_that_was_taken_away_is_no_trouble(keeping):
    _, folder = keeping([sample()])
    first = kept(folder)[0]
    first.rename(folder.parent / "labelled")
    keeping([sample()], max_bytes=1_000_000)
    assert len(kept(folder)) == 1


def test_a_disk_that_refuses_is_told_and_the_next_sample_tried(keeping, caplog):
    refusals = iter([OSError("full")])

    def redact(_, image):
        for error in refusals:
            raise error
        return image

    taken, folder = keeping([sample(camera="first"), sample(camera="second")], redact=redact)
    assert taken == [True, True]
    assert [path.name.split("-")[1] for path in kept(folder)] == ["second"]
    assert "cannot keep a sample" in caplog.text


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file/samples: cannot keep samples there .*samples_directory"):
        SampleKeeper(tmp_path / "file" / "samples", 1_000_000, max_margin=0.2, interval=0.0)


def test_a_slow_disk_holds_up_no_camera(tmp_path):
    free = threading.Event()

    def redact(_, image):
        free.wait(10)
        return image

    keeper = SampleKeeper(tmp_path, 1_000_000, max_margin=0.2, interval=0.0, redact=redact)
    taken = [keeper.offer(sample(camera=f"c{number}")) for number in range(5)]
    assert taken[0]
    assert not taken[-1]
    free.set()
    keeper.close()
    assert len(kept(tmp_path)) == sum(taken)
