from __future__ import annotations

import contextlib
import copy
import json

import pytest
from edge_helpers import edit_manifest, manifest_values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vedette_edge.errors import ManifestError
from vedette_edge.manifest import Manifest, read_manifest

ENTRY = {"path": "f", "bytes": 1, "sha256": "0" * 64}
VALID = manifest_values(
    dict.fromkeys(("model.onnx", "golden_inputs.npy", "golden_logits.npy", "golden_heatmap.npy"), ENTRY)
)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def changed(path, value):
    values = copy.deepcopy(VALID)
    target = values
    for part in path[:-1]:
        target = target[part]
    target[path[-1]] = value
    return values


def read(directory, values):
    (directory / "manifest.json").write_text(json.dumps(values))
    return read_manifest(directory)


def test_a_manifest_survives_writing_and_reading(tmp_path):
    manifest = read(tmp_path, VALID)
    assert Manifest.model_validate_json(manifest.to_json()) == manifest
    assert manifest.input.seconds == 0.5
    assert manifest.to_json().endswith("}\n")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(content=st.binary(max_size=200) | anything.map(lambda value: json.dumps(value).encode()))
def test_garbage_is_a_manifest_error_and_nothing_else(tmp_path, content):
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(ManifestError):
        read_manifest(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(key=st.sampled_from(sorted(VALID)), value=anything)
def test_a_garbled_part_is_a_manifest_error_or_valid(tmp_path, key, value):
    with contextlib.suppress(ManifestError):
        assert read(tmp_path, VALID | {key: value})


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("schema_version",), 2, "schema_version is 2"),
        (("nme",), 1, "did you mean 'name'"),
        (("input", "fpss"), 1, "did you mean 'fps'"),
        (("input", "std"), [0.0, 1.0, 1.0], "std must be positive"),
        (("decision", "off_threshold"), 0.9, "must not be above"),
        (("decision", "smoothing"), "3", "decision.smoothing"),
        (("labels",), [{"name": "a", "alarm": True}] * 2, "labels must differ"),
        (("labels",), [{"name": "a", "alarm": True}], "1 labels, but outputs for 2"),
        (("variants",), VALID["variants"] * 2, "different names"),
        (("golden", "inputs", "path"), "../x", "plain relative path"),
        (("golden", "inputs", "path"), "/x", "plain relative path"),
        (("golden", "inputs", "path"), "a\\b", "plain relative path"),
        (("provenance", "created"), "yesterday", "yesterday"),
        (("name",), "Big Name", "name"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, path, value, message):
    with pytest.raises(ManifestError, match=message):
        read(tmp_path, changed(path, value))


def test_numbers_beyond_json_are_refused(tmp_path):
    with pytest.raises(ManifestError, match="NaN"):
        read(tmp_path, changed(("decision", "temperature"), float("nan")))


def test_a_missing_manifest_says_what_to_give(tmp_path):
    with pytest.raises(ManifestError, match=r"not a bundle.*vedette-convert"):
        read_manifest(tmp_path)


def test_a_huge_manifest_is_not_read(tmp_path):
    (tmp_path / "manifest.json").write_bytes(b" " * (4 * 1024 * 1024 + 1))
    with pytest.raises(ManifestError, match="4 MiB"):
        read_manifest(tmp_path)


def test_all_mistakes_are_told_at_once(bundle_dir):
    def spoil(values):
        del values["name"]
        values["relase"] = values.pop("release")

    edit_manifest(bundle_dir, spoil)
    with pytest.raises(ManifestError, match=r"name: missing.*did you mean 'release'"):
        read_manifest(bundle_dir)
