from __future__ import annotations

import numpy as np
import pytest
from edge_helpers import edit_manifest, entry, opened

from vedette_edge.errors import ProofError
from vedette_edge.proof import check_golden, compare
from vedette_edge.types import Outputs


def outputs(logit=1.0, heat=0.0):
    logits = np.array([[logit, 0.0]], np.float32)
    return Outputs(logits, np.full((1, 2, 1, 2, 2), heat, np.float32))


def replace(directory, key, array):
    name = f"golden_{key}.npy"
    np.save(directory / name, array)
    edit_manifest(directory, lambda values: values["golden"].update({key: entry(directory, name)}))


def test_the_right_model_proves_itself(shared_bundle):
    difference = check_golden(*opened(shared_bundle))
    assert difference.logits_max < 1e-6
    assert difference.label_agreement == 1.0


def test_a_model_with_other_outputs_is_refused(bundle_dir):
    logits = np.load(bundle_dir / "golden_logits.npy")
    replace(bundle_dir, "logits", logits + 0.5)
    with pytest.raises(ProofError, match="does not give its expected outputs"):
        check_golden(*opened(bundle_dir))


def test_golden_samples_of_another_shape_are_refused(bundle_dir):
    replace(bundle_dir, "inputs", np.zeros((2, 1, 8, 8, 3), np.uint8))
    with pytest.raises(ProofError, match="do not fit"):
        check_golden(*opened(bundle_dir))


def test_differences_are_relative_above_one():
    difference = compare(outputs(logit=110.0, heat=0.2), outputs(logit=100.0))
    assert difference.logits_max == pytest.approx(0.1)
    assert difference.heatmap_max == pytest.approx(0.2)


def test_agreement_counts_labels():
    assert compare(outputs(-1.0), outputs(1.0)).label_agreement == 0.0


def test_not_a_number_is_never_within():
    assert not compare(outputs(float("nan")), outputs()).within(1e9)


def test_other_shapes_cannot_be_compared():
    wide = Outputs(np.zeros((1, 3), np.float32), np.zeros((1, 3, 1, 2, 2), np.float32))
    with pytest.raises(ValueError, match="cannot be compared"):
        compare(outputs(), wide)
