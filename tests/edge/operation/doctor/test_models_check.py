from __future__ import annotations

import pytest
from edge_helpers import add_variant, brightness_model

from vedette_edge.config import ModelConfig
from vedette_edge.errors import ManifestError
from vedette_edge.operation.doctor.models import installed_version, model, runtimes


def check(bundle, variant="auto"):
    return list(model("main", ModelConfig(bundle=bundle, variant=variant)))


def test_a_bundle_that_works_is_run_and_not_only_looked_at(shared_bundle):
    (finding,) = check(shared_bundle)
    assert finding.level == "ok"
    assert "'onnx-fp32' reproduces its golden samples" in finding.text


def test_a_variant_that_does_not_work_is_a_warning_beside_one_that_does(bundle_dir):
    add_variant(bundle_dir, "other", brightness_model(bias=3.0))
    good, bad = check(bundle_dir)
    assert (good.level, bad.level) == ("ok", "warn")
    assert "'other' does not work here" in bad.text


def test_where_the_named_variant_does_not_work_the_agent_cannot(bundle_dir):
    add_variant(bundle_dir, "other", brightness_model(bias=3.0))
    assert [one.level for one in check(bundle_dir, "other")] == ["fail"]
    (missing,) = check(bundle_dir, "third")
    assert "the bundle has none" in missing.text


def test_a_bundle_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ManifestError, match="is not a bundle"):
        check(tmp_path / "none")


def test_runtimes_are_named_with_their_versions():
    pytest.importorskip("onnxruntime")
    assert "onnxruntime 1." in runtimes().text
    none = runtimes(lambda _names: "")
    assert (none.level, "pip install" in none.remedy) == ("fail", True)
    assert installed_version(["no-such-thing"]) == ""
