"""Decoded once, kept under a name that changes with everything it depends on, and never made up."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from train_helpers import (
    backdrop,
    input_spec,
    moving_square,
    write_pictures,
    write_sound,
    write_timed_pictures,
)

from vedette_edge.errors import DataError, VideoError
from vedette_edge.flow import clip_flow
from vedette_edge.manifest import FlowSpec
from vedette_edge.preprocess import fit
from vedette_edge.video import read_frames
from vedette_train.data.folder import Video
from vedette_train.data.frames import cache_directory, load_flow, load_frames, prepare_frames, sampled
from vedette_train.evaluate import video_clips

SPEC = input_spec()
MOVING = input_spec(streams="rgb+flow", flow=FlowSpec())


def sampled_frames(path, spec):
    frames, flow = sampled(path, spec)
    assert flow is None
    return frames


def grey(level):
    return np.full((48, 64, 3), level, np.uint8)


def levels(frames):
    return [round(float(frame.mean()) / 20) * 20 for frame in frames]


def video(path, label=0):
    return Video(path, f"a/{path.name}", label, None)


@pytest.fixture
def good(tmp_path):
    """Twenty readable videos."""
    first = write_pictures(tmp_path / "0.mp4", moving_square("left", 0, 4))
    return [first, *(shutil.copy(first, tmp_path / f"{number}.mp4") for number in range(1, 20))]


def test_pictures_are_sampled_at_the_rate_of_the_network(tmp_path):
    path = write_pictures(tmp_path / "a.mp4", [grey(20 * (i % 10) + 40) for i in range(20)], fps=16.0)
    assert levels(sampled_frames(path, SPEC)) == [40, 80, 120, 160, 200] * 2


def test_a_slow_video_repeats_its_pictures(tmp_path):
    path = write_pictures(tmp_path / "a.mp4", [grey(40), grey(120), grey(200)], fps=4.0)
    assert levels(sampled_frames(path, SPEC)) == [40, 120, 120, 200, 200]


def test_a_varying_frame_rate_is_sampled_by_time(tmp_path):
    # Four pictures in the first 0.15 s, then two of half a second: by count they would weigh the same.
    times = [0.0, 0.05, 0.10, 0.15, 0.5, 1.0]
    shades = [40, 60, 80, 100, 160, 220]
    path = write_timed_pictures(tmp_path / "a.mp4", [grey(shade) for shade in shades], times)
    assert [frame.time for frame in read_frames(path)] == pytest.approx(times, abs=1e-3)
    # Ticks of 1/8 s: 0, 0.125, then three that pass until 0.5, and four until 1.0.
    assert levels(sampled_frames(path, SPEC)) == [40, 100, 160, 160, 160, 220, 220, 220, 220]


def test_a_video_of_one_picture_has_one(tmp_path):
    path = write_pictures(tmp_path / "a.mp4", [backdrop(0)])
    found = sampled_frames(path, SPEC)
    assert found.shape == (1, 32, 64, 3)
    assert np.array_equal(found[0], fit(next(read_frames(path)).image, SPEC))


def write_nothing(path):
    path.write_bytes(b"")


def write_text(path):
    path.write_text("this is not a video\n" * 100)


def write_half(path):
    whole = write_pictures(path.with_name("whole.mp4"), moving_square("left", 0)).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


SPOILT = {
    "empty": write_nothing,
    "text": write_text,
    "sound": write_sound,
    "half": write_half,
    "folder": lambda path: path.mkdir(),
    "link to nowhere": lambda path: path.symlink_to(path.with_name("gone.mp4")),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_an_unreadable_file_is_left_out_with_its_reason_and_never_made_up(kind, good, tmp_path):
    path = tmp_path / "spoilt.mp4"
    SPOILT[kind](path)
    done = []
    readable, unreadable = prepare_frames(
        [video(good[0]), video(path), *map(video, good[1:])],
        SPEC,
        tmp_path / "cache",
        on_progress=lambda *pair: done.append(pair),
    )
    assert [item.path for item in readable] == good
    assert [item.video.path for item in unreadable] == [path]
    assert str(path) in unreadable[0].reason
    assert done == [(number, 21) for number in range(1, 22)]
    with pytest.raises((DataError, VideoError)):
        load_frames(video(path), SPEC, tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == len(good)


def test_too_many_unreadable_files_are_an_error_that_names_them(good, tmp_path):
    for name in ("x.mp4", "y.mp4"):
        write_text(tmp_path / name)
    videos = [*map(video, good), video(tmp_path / "x.mp4"), video(tmp_path / "y.mp4")]
    with pytest.raises(DataError, match="2 of 22 videos cannot be read, more than the 5%") as caught:
        prepare_frames(videos, SPEC, tmp_path / "cache")
    assert "x.mp4" in str(caught.value)
    assert "y.mp4" in str(caught.value)
    assert prepare_frames(videos, SPEC, tmp_path / "cache", max_unreadable=0.1)[0] == videos[:20]


def test_what_is_kept_is_what_was_decoded(good, tmp_path):
    prepare_frames([video(good[0])], SPEC, tmp_path / "cache")
    kept = load_frames(video(good[0]), SPEC, tmp_path / "cache")
    assert np.array_equal(kept, sampled_frames(good[0], SPEC))
    assert isinstance(kept, np.memmap)


def test_a_video_is_decoded_once(good, tmp_path):
    prepare_frames([video(good[0])], SPEC, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    np.save(kept, np.zeros((1, 32, 64, 3), np.uint8))
    prepare_frames([video(good[0])], SPEC, tmp_path / "cache")
    assert not load_frames(video(good[0]), SPEC, tmp_path / "cache").any()


@pytest.mark.parametrize(
    "changes", [{"fps": 4.0}, {"height": 48}, {"width": 32}, {"crop": "center"}, {"color": "bgr"}]
)
def test_another_setting_never_meets_the_old_pictures(changes, good, tmp_path):
    prepare_frames([video(good[0])], SPEC, tmp_path / "cache")
    other = input_spec(**changes)
    with pytest.raises(DataError, match="its decoded frames are gone"):
        load_frames(video(good[0]), other, tmp_path / "cache")
    prepare_frames([video(good[0])], other, tmp_path / "cache")
    kept = load_frames(video(good[0]), other, tmp_path / "cache")
    assert np.array_equal(kept, sampled_frames(good[0], other))


def test_a_changed_video_never_meets_the_old_pictures(good, tmp_path):
    prepare_frames([video(good[0])], SPEC, tmp_path / "cache")
    os.utime(good[0], ns=(1, 1))
    with pytest.raises(DataError, match="its decoded frames are gone"):
        load_frames(video(good[0]), SPEC, tmp_path / "cache")
    good[0].unlink()
    with pytest.raises(DataError, match="its decoded frames are gone"):
        load_frames(video(good[0]), SPEC, tmp_path / "cache")


def test_a_damaged_array_is_an_error(good, tmp_path):
    prepare_frames([video(good[0])], SPEC, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(b"cut")
    with pytest.raises(DataError, match="its decoded frames are gone"):
        load_frames(video(good[0]), SPEC, tmp_path / "cache")


def test_the_cache_lies_where_the_user_keeps_caches(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "vedette" / "frames"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_directory() == tmp_path / "home" / ".cache" / "vedette" / "frames"


def test_the_backdrops_of_the_tests_survive_encoding(good):
    assert cv2.absdiff(next(read_frames(good[0])).image, moving_square("left", 0, 4)[0]).mean() < 12


def test_flow_is_kept_beside_the_frames_as_the_device_computes_it(good, tmp_path):
    prepare_frames([video(good[0])], MOVING, tmp_path / "cache")
    frames = load_frames(video(good[0]), MOVING, tmp_path / "cache")
    flow = load_flow(video(good[0]), MOVING, tmp_path / "cache")
    assert isinstance(flow, np.memmap)
    assert (flow.shape, flow.dtype) == ((*frames.shape[:3], 2), np.float16)
    assert not flow[0].any()
    assert flow[1].any()
    np.testing.assert_array_equal(flow, clip_flow(list(frames), MOVING.flow).astype(np.float16))
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_picture_that_is_repeated_stands_still(tmp_path):
    path = write_pictures(tmp_path / "a.mp4", moving_square("left", 0, 4), fps=4.0)
    frames, flow = sampled(path, MOVING)
    assert len(frames) == len(flow) == 7
    assert [bool(field.any()) for field in flow] == [False, True, False, True, False, True, False]


def test_no_flow_spans_a_gap(tmp_path):
    times = [0.0, 0.125, 0.25, 10.0, 10.125]
    path = write_timed_pictures(tmp_path / "a.mp4", moving_square("left", 0, 5), times)
    flow = sampled(path, MOVING)[1]
    assert [bool(field.any()) for field in flow] == [False, True, True, False, True]


def test_frames_that_were_kept_without_flow_are_kept_once(good, tmp_path):
    prepare_frames([video(good[0])], SPEC, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    before = kept.stat().st_mtime_ns
    with pytest.raises(DataError, match="gone"):
        load_flow(video(good[0]), MOVING, tmp_path / "cache")
    prepare_frames([video(good[0])], MOVING, tmp_path / "cache")
    assert load_flow(video(good[0]), MOVING, tmp_path / "cache")[1].any()
    assert kept.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "changes", [{"winsize": 7}, {"subtract_mean": False}, {"algorithm": "dis"}, {"poly_sigma": 1.5}]
)
def test_another_kind_of_flow_never_meets_the_old_one(changes, good, tmp_path):
    prepare_frames([video(good[0])], MOVING, tmp_path / "cache")
    other = MOVING.model_copy(update={"flow": FlowSpec(**changes)})
    load_frames(video(good[0]), other, tmp_path / "cache")
    with pytest.raises(DataError, match="its decoded frames are gone"):
        load_flow(video(good[0]), other, tmp_path / "cache")


def test_another_bound_needs_no_new_flow(good, tmp_path):
    prepare_frames([video(good[0])], MOVING, tmp_path / "cache")
    load_flow(video(good[0]), MOVING.model_copy(update={"flow": FlowSpec(bound=3.0)}), tmp_path / "cache")


def test_an_interrupted_preparation_goes_on_where_it_was(good, tmp_path):
    def stop(done, _):
        if done == 7:
            raise KeyboardInterrupt

    videos = [*map(video, good)]
    with pytest.raises(KeyboardInterrupt):
        prepare_frames(videos, SPEC, tmp_path / "cache", on_progress=stop)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    assert len(kept) == 7
    assert prepare_frames(videos, SPEC, tmp_path / "cache")[0] == videos
    assert all(path.stat().st_mtime_ns == changed for path, changed in kept.items())
    assert len(list((tmp_path / "cache").iterdir())) == 20


FULL = """
import resource, sys
from pathlib import Path
from train_helpers import input_spec
from vedette_train.data.folder import Video
from vedette_train.data.frames import prepare_frames
from vedette_edge.errors import DataError
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
videos = [Video(Path(p), p, 0, None) for p in sys.argv[3:]]
try:
    prepare_frames(videos, input_spec(), Path(sys.argv[2]))
except DataError as error:
    sys.exit(f"one sentence: {error}")
"""


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(tmp_path):
    # A file may grow to 60 kB: the short video's frames fit, the long one's do not.
    short = write_pictures(tmp_path / "a.mp4", moving_square("left", 0, 4))
    long = write_pictures(tmp_path / "b.mp4", moving_square("left", 0, 20))
    command = [sys.executable, "-c", FULL, "60000", str(tmp_path / "cache"), str(short), str(long)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1
    assert done.stderr.startswith("one sentence: ")
    assert "decoded frames cannot be written (File too large); make room" in done.stderr
    (kept,) = (tmp_path / "cache").iterdir()
    assert np.load(kept).shape == (4, 32, 64, 3)
    videos = [video(short), video(long)]
    assert prepare_frames(videos, SPEC, tmp_path / "cache")[0] == videos


def test_a_cache_that_cannot_be_made_is_named(good, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"file/cache: decoded frames cannot be written .*XDG_CACHE_HOME"):
        prepare_frames([video(good[0])], SPEC, tmp_path / "file" / "cache")


@pytest.mark.slow
def test_several_processes_keep_what_one_keeps(tmp_path):
    # Long enough that processes are worth their start.
    noise = np.random.default_rng(0).integers(0, 255, (6, 480, 640, 3), dtype=np.uint8)
    large = [write_pictures(tmp_path / f"large-{n}.mp4", list(noise) * 8) for n in range(3)]
    assert sum(path.stat().st_size for path in large) > 2 * 4_000_000
    write_text(tmp_path / "x.mp4")
    videos = [video(path) for path in (large[0], tmp_path / "x.mp4", *large[1:])]
    results = []
    for workers in (1, 3):
        cache = tmp_path / f"cache-{workers}"
        readable, unreadable = prepare_frames(videos, MOVING, cache, max_unreadable=0.5, workers=workers)
        assert [item.video for item in unreadable] == [videos[1]]
        results.append([(load_frames(v, MOVING, cache), load_flow(v, MOVING, cache)) for v in readable])
    for one, three in zip(*results, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, three, strict=True))


def write_frame_folder(folder, count=10):
    folder.mkdir(parents=True)
    for number, picture in enumerate(moving_square("right", 3, count), start=1):
        # Sizes differ, and every third picture is grey.
        image = cv2.resize(picture, None, fx=1 + number % 2, fy=1 + number % 2)
        image = image if number % 3 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        assert cv2.imwrite(str(folder / f"frame_{number}.jpg"), image)
    return folder


def test_each_picture_of_a_folder_is_one_sample_in_training_as_in_evaluation(tmp_path):
    folder = write_frame_folder(tmp_path / "clip")
    spec = input_spec(frames=10, streams="rgb+flow", flow=FlowSpec())
    prepare_frames([video(folder)], spec, tmp_path / "cache")
    frames = load_frames(video(folder), spec, tmp_path / "cache")
    flow = load_flow(video(folder), spec, tmp_path / "cache")
    assert len(frames) == 10
    (clip,) = video_clips(folder, spec, hop=10)
    assert np.array_equal(frames, np.stack([item.fitted for item in clip.items]))
    assert np.array_equal(flow, np.stack([item.flow for item in clip.items]).astype(np.float16))


def test_a_changed_picture_of_a_folder_never_meets_the_old_frames(tmp_path):
    folder = write_frame_folder(tmp_path / "clip")
    prepare_frames([video(folder)], SPEC, tmp_path / "cache")
    cv2.imwrite(str(folder / "frame_11.jpg"), grey(20))
    with pytest.raises(DataError, match="its decoded frames are gone"):
        load_frames(video(folder), SPEC, tmp_path / "cache")


def test_a_folder_with_a_broken_picture_is_left_out_with_its_name(good, tmp_path):
    folder = write_frame_folder(tmp_path / "clip")
    (folder / "frame_7.jpg").write_bytes(b"")
    videos = [*map(video, good), video(folder)]
    readable, unreadable = prepare_frames(videos, SPEC, tmp_path / "cache")
    assert len(readable) == 20
    assert "frame_7.jpg: not a picture" in unreadable[0].reason


@pytest.mark.slow
def test_a_ray_cluster_keeps_what_this_machine_keeps(good, tmp_path, monkeypatch):
    pytest.importorskip("ray")
    write_text(tmp_path / "x.mp4")
    monkeypatch.chdir(tmp_path)  # the nodes have another one
    videos = [video(path.relative_to(tmp_path)) for path in (good[0], tmp_path / "x.mp4", good[1])]
    for cache, ray in ((Path("there"), "local"), (Path("here"), None)):
        readable, unreadable = prepare_frames(videos, MOVING, cache, max_unreadable=0.5, ray=ray)
        assert (readable, [item.video for item in unreadable]) == ([videos[0], videos[2]], [videos[1]])
    kept = {path.name: path.read_bytes() for path in Path("here").iterdir()}
    assert kept == {path.name: path.read_bytes() for path in Path("there").iterdir()}
    assert len(kept) == 4
