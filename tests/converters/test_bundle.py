"""All of a bundle, or nothing."""

import hashlib
import io
from types import SimpleNamespace

import numpy as np
import pytest

from vedette_converters.bundle import new_bundle
from vedette_edge.errors import UsageError


def test_a_bundle_appears_when_it_is_complete(tmp_path):
    out = tmp_path / "new" / "folder" / "bundle"
    array = np.arange(6.0).reshape(2, 3)
    with new_bundle(out) as writer:
        entry = writer.add("model.onnx", b"model")
        golden = writer.add_array("golden/inputs.npy", array)
        writer.finish(SimpleNamespace(to_json=lambda: "{}\n"))
        assert not out.exists()
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()) == [
        "golden/inputs.npy",
        "manifest.json",
        "model.onnx",
    ]
    assert (entry.path, entry.bytes, entry.sha256) == (
        "model.onnx",
        5,
        hashlib.sha256(b"model").hexdigest(),
    )
    data = (out / "golden" / "inputs.npy").read_bytes()
    assert np.array_equal(np.load(io.BytesIO(data), allow_pickle=False), array)
    assert (golden.bytes, golden.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (out / "manifest.json").read_text() == "{}\n"
    assert out.stat().st_mode & 0o777 == 0o755  # the device's user may read it
    assert [path.name for path in out.parent.iterdir()] == ["bundle"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_interruption_leaves_nothing(error, tmp_path):
    def build():
        with new_bundle(tmp_path / "bundle") as writer:
            writer.add("model.onnx", b"model")
            raise error

    with pytest.raises(error):
        build()
    assert list(tmp_path.iterdir()) == []


def folder(path):
    path.mkdir()


def file(path):
    path.write_text("notes")


def link_to_nowhere(path):
    path.symlink_to(path.with_name("gone"))


@pytest.mark.parametrize("something", [folder, file, link_to_nowhere])
def test_what_exists_is_never_overwritten(something, tmp_path):
    something(tmp_path / "bundle")
    with (
        pytest.raises(UsageError, match="bundle exists; a bundle is never overwritten"),
        new_bundle(tmp_path / "bundle"),
    ):
        pytest.fail("the block must not run")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_what_appears_meanwhile_is_not_overwritten_and_nothing_is_left(tmp_path):
    def build():
        with new_bundle(tmp_path / "bundle") as writer:
            writer.add("model.onnx", b"model")
            (tmp_path / "bundle").mkdir()
            (tmp_path / "bundle" / "notes").write_text("mine")

    with pytest.raises(OSError, match="bundle"):
        build()
    assert (tmp_path / "bundle" / "notes").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
