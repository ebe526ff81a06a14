"""Arrays of whole videos: written once, read as clips, and checked before they are learnt from."""

import numpy as np
import pytest
import torch
from train_helpers import input_spec, moving_square, write_pictures

from vedette_edge.errors import DataError
from vedette_edge.flow import clip_flow
from vedette_edge.manifest import FlowSpec
from vedette_edge.preprocess import fit, to_tensor
from vedette_edge.video import read_frames
from vedette_train.data.arrays import load_clip, validate_clip, write_arrays
from vedette_train.data.faithful import encode_flow, normalise

SPEC = input_spec(streams="rgb+flow", flow=FlowSpec(), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    root = tmp_path_factory.mktemp("raw")
    for part, label, scene in (("train", "Fight", 1), ("train", "NonFight", 2), ("val", "Fight", 3)):
        write_pictures(root / part / label / f"{scene}.avi", moving_square("left", scene, 10), fps=30.0)
    (root / "val" / "NonFight").mkdir()
    (root / "val" / "NonFight" / "broken.avi").write_bytes(b"no video")
    return root


@pytest.fixture(scope="module", params=["repaired", "faithful"])
def arrays(request, source, tmp_path_factory):
    out = tmp_path_factory.mktemp("npy")
    return request.param, out, write_arrays(source, out, SPEC, request.param, workers=1)


def fitted(source):
    return [fit(frame.image, SPEC) for frame in read_frames(source / "train/Fight/1.avi")]


def test_the_arrays_lie_in_the_folders_of_the_source(arrays):
    encoding, out, (written, unreadable) = arrays
    names = ["train/Fight/1.npy", "train/NonFight/2.npy", "val/Fight/3.npy"]
    assert [path.relative_to(out).as_posix() for path in written] == names
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.npy")) == names
    assert [path.name for path in unreadable] == ["broken.avi"]
    found = np.load(written[0])
    assert (found.shape, found.dtype) == ((10, 32, 64, 5), {"repaired": "f2", "faithful": "u1"}[encoding])


def test_the_pictures_and_the_flow_are_those_of_the_encoding(arrays, source):
    encoding, _, (written, _) = arrays
    found, pictures = np.load(written[0]), fitted(source)
    assert np.array_equal(found[..., :3], pictures)
    flow = clip_flow(pictures, SPEC.flow)
    if encoding == "repaired":
        assert np.array_equal(found[..., 3:], flow.astype(np.float16))
        return
    assert not found[-1, ..., 3:].any()
    wanted = encode_flow(torch.from_numpy(flow[1:]).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    assert np.array_equal(found[:-1, ..., 3:], wanted)


def test_what_is_written_is_not_written_again(arrays, source):
    encoding, out, (written, unreadable) = arrays
    before = [path.stat().st_mtime_ns for path in written]
    done = []
    again = write_arrays(source, out, SPEC, encoding, workers=1, on_progress=lambda *pair: done.append(pair))
    assert again == (written, unreadable)
    assert [path.stat().st_mtime_ns for path in written] == before
    assert done == [(n, 4) for n in range(1, 5)]


def test_another_encoding_replaces_the_old_one(source, tmp_path):
    for encoding, dtype in (("faithful", np.uint8), ("repaired", np.float16)):
        written, _ = write_arrays(source, tmp_path, SPEC, encoding, workers=1)
        assert all(np.load(path).dtype == dtype for path in written)


def test_a_folder_of_classes_and_folders_of_pictures_are_sources_too(source, tmp_path):
    written, _ = write_arrays(source / "train", tmp_path, SPEC, workers=1)
    assert [path.relative_to(tmp_path).as_posix() for path in written] == ["Fight/1.npy", "NonFight/2.npy"]


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_a_source_without_videos_is_named(name, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"expected \{train,val,test\}/<class>/<video> or <class>/<video>"):
        write_arrays(tmp_path / name, tmp_path / "out", SPEC, workers=1)


def test_a_clip_of_pixels_is_the_devices_tensor(source, tmp_path):
    (path, *_), _ = write_arrays(source, tmp_path, SPEC, workers=1)
    pictures = fitted(source)
    flow = list(clip_flow(pictures, SPEC.flow).astype(np.float16))
    for start, first in ((None, 3), (0, 0), (5, 5)):
        found = load_clip(path, SPEC, start)
        assert (found.shape, found.dtype) == ((1, 5, 4, 32, 64), np.float32)
        window = slice(first, first + 4)
        np.testing.assert_allclose(found, to_tensor(pictures[window], SPEC, flow[window]), atol=1e-6)


def test_a_short_video_is_padded_and_stands_still(source, tmp_path):
    (path, *_), _ = write_arrays(source, tmp_path, SPEC, workers=1)
    found = load_clip(path, SPEC, 8)[0]
    assert np.array_equal(found[:3, 1], found[:3, 3])
    assert found[3:, 1].any()
    assert not found[3:, 2:].any()


def test_bytes_are_read_as_published_or_centred(source, tmp_path):
    (path, *_), _ = write_arrays(source, tmp_path, SPEC, "faithful", workers=1)
    video = np.load(path)[3:7]
    centred = load_clip(path, SPEC)[0]
    np.testing.assert_allclose(
        centred[3:], (video[..., 3:].transpose(3, 0, 1, 2) - 128.0).clip(-127, 127) / 127.0, atol=1e-6
    )
    published = load_clip(path, SPEC, faithful=True)[0]
    wanted = normalise(torch.from_numpy(video).permute(0, 3, 1, 2), SPEC).transpose(0, 1)
    np.testing.assert_array_equal(published, wanted)
    assert (published[3:] == 1.0).mean() > 0.9
    assert (np.abs(centred[3:]) == 1.0).mean() < 0.1


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((4, 16, 64, 5), np.uint8), r"expected \(T, 32, 64, 5\) float16 or uint8, found \(4, 16"),
        (np.zeros((4, 32, 64, 3), np.uint8), "float16 or uint8, found"),
        (np.zeros((4, 32, 64, 5), np.float64), "float16 or uint8, found .* float64"),
        (np.zeros((0, 32, 64, 5), np.uint8), "float16 or uint8, found"),
        (np.array([{"a": 1}], dtype=object), "not an array of a video"),
    ],
)
def test_another_array_is_refused(array, sentence, tmp_path):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=sentence):
        load_clip(tmp_path / "a.npy", SPEC)


@pytest.mark.parametrize("content", [b"", b"junk" * 50, None])
def test_a_file_that_is_no_array_is_refused(content, tmp_path):
    if content is not None:
        (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npy: not an array of a video"):
        load_clip(tmp_path / "a.npy", SPEC)


def good_clip():
    return np.random.default_rng(0).uniform(-1, 1, (5, 4, 32, 64)).astype(np.float32)


def spoilt(value):
    clip = good_clip()
    clip[2, 1, 3, 4] = value
    return clip


def test_a_good_clip_passes_all_five_checks():
    for label in (0, 1, np.int64(1)):
        validate_clip(good_clip(), label, SPEC)


@pytest.mark.parametrize(
    ("clip", "label", "sentence"),
    [
        (good_clip()[:, :3], 0, r"expected shape \(5, 4, 32, 64\), found \(5, 3, 32, 64\)"),
        (spoilt(np.nan), 0, "1 values are not finite"),
        (spoilt(np.inf), 0, "1 values are not finite"),
        (spoilt(1.01), 0, r"expected values in -1\.\.1, found .*1\.01"),
        (np.zeros((5, 4, 32, 64)), 0, "it is constant"),
        (good_clip(), 2, r"label: expected a whole number in 0\.\.1, found 2"),
        (good_clip(), -1, "label"),
        (good_clip(), 1.0, "label"),
        (good_clip(), True, "label"),
        (good_clip(), "Fight", "label"),
    ],
)
def test_each_check_is_made(clip, label, sentence):
    with pytest.raises(DataError, match=sentence):
        validate_clip(clip, label, SPEC)


def test_the_published_shape_is_checked():
    spec = SPEC.model_copy(update={"frames": 32, "height": 224, "width": 224})
    with pytest.raises(DataError, match=r"expected shape \(5, 32, 224, 224\)"):
        validate_clip(good_clip(), 0, spec)
