"""From a run to a bundle that the device trusts, or to nothing at all."""

import json
import shutil

import numpy as np
import pytest
import torch
from packaging.version import Version
from train_helpers import input_spec

from vedette_converters import variants
from vedette_converters.convert import convert
from vedette_converters.plan import Plan
from vedette_converters.targets import onnx
from vedette_edge import __version__
from vedette_edge.bundle import open_bundle
from vedette_edge.errors import DataError, ProofError, UsageError
from vedette_edge.manifest import Bounds
from vedette_edge.proof import check_golden
from vedette_edge.runtimes import open_session, open_streaming
from vedette_train.data.folder import fingerprint, scan
from vedette_train.runs import open_run


@pytest.fixture(scope="module")
def built():
    """The forms that were written for ONNX Runtime, in their order."""
    return []


@pytest.fixture(scope="module")
def bundle(run_directory, built, tmp_path_factory):
    out = tmp_path_factory.mktemp("bundles") / "tiny"
    done = []

    def build(graph, *arguments, build=onnx.build):
        built.append("2D" if graph.lowered else "3D")
        return build(graph, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx, "build", build)
        convert(run_directory, out, release=7, on_step=lambda *step: done.append(step))
    assert ("read and judge", 2, 2) in done
    assert done[-1] == ("measure onnx-fp32-clip", 1, 1)
    return open_bundle(out)


@pytest.mark.usefixtures("bundle")
def test_each_form_is_written_once(built):
    assert built == ["3D", "2D"]


def test_the_device_accepts_the_bundle(bundle):
    session = open_session(bundle, bundle.variant())
    found = check_golden(bundle, bundle.variant(), session)
    assert found.within(bundle.manifest.golden.tolerance)
    assert found.label_agreement == 1.0


def test_the_manifest_says_what_was_trained(bundle, run_directory, data):
    manifest, run = bundle.manifest, open_run(run_directory)
    assert (manifest.name, manifest.task, manifest.release) == ("tiny", "classify", 7)
    assert manifest.architecture == "mobilenet_v2_3d"
    assert [(label.name, label.alarm) for label in manifest.labels] == [("left", True), ("right", True)]
    assert manifest.input == input_spec()
    assert manifest.decision == run.decision
    assert manifest.outputs.logits == (2,)
    assert manifest.outputs.heatmap == (2, 4, 1, 2)
    assert Version(manifest.min_agent) <= Version(__version__)
    provenance = manifest.provenance
    assert provenance.dataset == fingerprint(scan(data))
    assert provenance.seed == 3
    assert provenance.recipe == run.recipe.model_dump(mode="json", exclude={"data": {"root"}})
    assert provenance.metrics == json.loads((run_directory / "metrics.json").read_text())
    groups = {part: set(names) for part, names in provenance.split.items()}
    assert sorted(map(len, groups.values())) == [1, 1, 2]
    assert set.union(*groups.values()) == {f"scene-{number}" for number in range(4)}
    assert provenance.versions["torch"] == torch.__version__


def test_the_proof_is_over_every_window_of_the_reported_videos(bundle, run_directory):
    (variant,) = bundle.manifest.variants
    assert (variant.name, variant.runtime, variant.precision, variant.mode) == (
        "onnx-fp32-clip",
        "onnx",
        "fp32",
        "clip",
    )
    parity, accuracy = variant.proof.parity, variant.proof.accuracy
    assert parity.samples == 2 * 5
    assert 0 <= parity.logits_mean_abs <= parity.logits_max_abs <= parity.tolerance == 1e-4
    assert 0 <= parity.heatmap_mean_abs <= parity.heatmap_max_abs <= parity.tolerance
    metrics = json.loads((run_directory / "metrics.json").read_text())
    assert {key: getattr(accuracy, key) for key in ("value", "low", "high", "samples")} == metrics["accuracy"]
    assert accuracy.split == metrics["split"]
    assert 0 < variant.measured.p50_ms <= variant.measured.p95_ms


def test_the_reference_of_drift_counts_every_window(bundle):
    statistics = bundle.manifest.statistics
    assert statistics.windows == 2 * 5
    assert len(statistics.scores) == 2
    assert statistics.scores[0] == statistics.scores[1][::-1]
    inputs = bundle.read_array(bundle.manifest.golden.inputs) / 255
    assert statistics.brightness.mean == pytest.approx(inputs.mean(), abs=0.1)
    assert 0 < statistics.contrast.mean < 0.5


def test_the_golden_samples_are_real_clips_of_different_labels(bundle):
    golden = bundle.manifest.golden
    inputs = bundle.read_array(golden.inputs)
    assert inputs.shape == (2, 4, 32, 64, 3)
    assert inputs.dtype == np.uint8
    assert inputs.std() > 10
    assert not np.array_equal(inputs[0], inputs[1])
    assert bundle.read_array(golden.heatmap).shape == (2, 2, 4, 1, 2)


def test_the_bundle_holds_its_files_and_no_more(bundle):
    names = {path.relative_to(bundle.directory).as_posix() for path in bundle.directory.rglob("*.*")}
    golden = {f"golden/{name}.npy" for name in ("inputs", "logits", "heatmap")}
    assert names == {"manifest.json", "onnx-fp32-clip.onnx"} | golden


def test_background_labels_raise_no_alarm(own_small_run, tmp_path):
    path = own_small_run / "recipe.yaml"
    path.write_text(path.read_text().replace("background: []", "background: [left]"))
    manifest = convert(own_small_run, tmp_path / "bundle")
    assert [(label.name, label.alarm) for label in manifest.labels] == [("left", False), ("right", True)]


def test_what_exists_is_refused_before_anything_is_done(tmp_path):
    (tmp_path / "bundle").mkdir()
    with pytest.raises(UsageError, match="a bundle is never overwritten"):
        convert(tmp_path / "no run", tmp_path / "bundle")


def test_a_run_on_the_published_data_path_is_refused(own_run, tmp_path):
    path = own_run / "recipe.yaml"
    path.write_text(path.read_text().replace("faithful: false", "faithful: true"))
    with pytest.raises(UsageError, match=r"trained with data\.faithful, .* cannot run on a device"):
        convert(own_run, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_a_dataset_that_moved_is_named(own_small_run, data, tmp_path):
    moved = shutil.copytree(data, tmp_path / "moved")
    text = (own_small_run / "run.json").read_text().replace(str(data), str(tmp_path / "gone"))
    (own_small_run / "run.json").write_text(text)
    with pytest.raises(DataError, match="say where it is with --data"):
        convert(own_small_run, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
    convert(own_small_run, tmp_path / "bundle", data=moved)
    assert (tmp_path / "bundle" / "manifest.json").is_file()


def broken_weights(run, value):
    state = torch.load(run / "model.pt")
    state["features.3.project.conv.weight"][0, 0] = value
    torch.save(state, run / "model.pt")


def no_metrics(run):
    (run / "metrics.json").unlink()


def damaged_metrics(run):
    (run / "metrics.json").write_text("{")


def no_weights(run):
    (run / "model.pt").unlink()


@pytest.mark.parametrize(
    ("spoil", "error", "sentence"),
    [
        (lambda run: broken_weights(run, float("nan")), DataError, "1 tensors hold NaN or infinity"),
        (no_metrics, DataError, r"metrics\.json: cannot be read .*; run  vedette-train evaluate"),
        (damaged_metrics, DataError, r"metrics\.json: cannot be read"),
        (no_weights, DataError, "its training did not finish"),
    ],
    ids=["NaN", "no metrics", "damaged metrics", "no weights"],
)
def test_a_run_that_is_not_sound_is_refused_and_nothing_is_left(spoil, error, sentence, own_run, tmp_path):
    spoil(own_run)
    (tmp_path / "out").mkdir()
    with pytest.raises(error, match=sentence):
        convert(own_run, tmp_path / "out" / "bundle")
    assert list((tmp_path / "out").iterdir()) == []


def test_nothing_is_left_of_a_bundle_whose_variants_all_fail(own_run, tmp_path):
    with pytest.raises(
        ProofError, match=r"no variant could be proved, .*: this network sees a frame's future"
    ):
        convert(own_run, tmp_path / "out" / "bundle", plan=Plan(modes=("stream",)))
    assert list((tmp_path / "out").iterdir()) == []


def test_an_interruption_leaves_nothing(small_run, tmp_path):
    def interrupted(what, *_):
        if what.startswith("measure"):
            assert list(tmp_path.iterdir()), "the bundle is being built"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(small_run, tmp_path / "bundle", on_step=interrupted)
    assert list(tmp_path.iterdir()) == []


IMPOSSIBLE = Bounds(max_drop=0.0, min_label_agreement=1.0, max_score=0.0, min_heatmap=1.0)


def test_what_loses_more_than_allowed_is_refused_with_the_figures(small_run, tmp_path, monkeypatch):
    monkeypatch.setattr(variants, "_KEPT", (1, 2, 20))  # it has three layers
    plan = Plan(precisions=("fp32", "int8"))
    manifest = convert(small_run, tmp_path / "bundle", plan=plan, bounds=IMPOSSIBLE)
    assert [variant.name for variant in manifest.variants] == ["onnx-fp32-clip"]
    (refusal,) = manifest.refused
    assert (refusal.runtime, refusal.precision, refusal.mode) == ("onnx", "int8", "clip")
    assert "scores differ by" in refusal.reason
    # One try with everything in int8, then more and more layers in float.
    assert "(with 1 layers in float)" in refusal.reason
    assert "(with 2 layers in float)" in refusal.reason
    assert "(with 20 layers in float)" not in refusal.reason


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_causal_run_streams_in_every_runtime(causal_run, tmp_path):
    lenient = Bounds(max_drop=1.0, min_label_agreement=0.0, max_score=1.0, min_heatmap=0.5)
    plan = Plan(("onnx", "openvino", "tflite"), ("fp32", "int8"), ("stream",))
    manifest = convert(causal_run, tmp_path / "bundle", plan=plan, bounds=lenient)
    assert manifest.refused == ()
    assert [variant.name for variant in manifest.variants] == [wish.name for wish in plan.wishes(causal=True)]
    bundle = open_bundle(tmp_path / "bundle")
    for variant in manifest.variants:
        check_golden(bundle, variant, open_streaming(bundle, variant))
        assert variant.measured is not None
        assert variant.macs > 0
        assert len(variant.state) == 38


@pytest.mark.slow
def test_half_precision_is_smaller_and_keeps_the_bounds(causal_run, tmp_path):
    plan = Plan(("onnx", "openvino"), ("fp32", "fp16"), ("stream",))
    manifest = convert(causal_run, tmp_path / "bundle", plan=plan)
    assert manifest.refused == ()
    size = {variant.name: sum(entry.bytes for entry in variant.files) for variant in manifest.variants}
    assert len(size) == 4
    for name in size:
        assert size[name.replace("fp32", "fp16")] <= size[name]
