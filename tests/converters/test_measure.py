from __future__ import annotations

import pytest
from edge_helpers import edit_manifest, write_bundle

from vedette_converters.measure import with_costs
from vedette_edge.errors import ProofError
from vedette_edge.manifest import read_manifest


@pytest.fixture
def bundle(tmp_path):
    return write_bundle(tmp_path / "bundle")


def test_each_variant_gets_its_cost_and_nothing_else_changes(bundle):
    seen = []
    found = with_costs(bundle, seconds=0, on_progress=lambda *step: seen.append(step))
    measured = found.variants[0].measured
    assert 0 < measured.p50_ms <= measured.p95_ms
    assert measured.per_second > 0
    assert seen == [("onnx-fp32", 1, 1)]
    values = found.model_dump()
    values["variants"][0]["measured"] = None
    assert values == read_manifest(bundle).model_dump()


def test_a_variant_that_cannot_be_used_is_named_with_its_reason(bundle):
    edit_manifest(bundle, lambda values: values["variants"][0]["files"][0].update(sha256="0" * 64))
    with pytest.raises(ProofError, match=r"onnx-fp32: .*model.onnx is not the file that manifest.json names"):
        with_costs(bundle, seconds=0)
