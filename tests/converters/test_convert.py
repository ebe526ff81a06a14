"""From a run to a bundle that the device trusts, or to nothing at all."""

import json
import shutil

import numpy as np
import pytest
import torch
from model_helpers import seasoned
from packaging.version import Version
from train_helpers import input_spec, moving_square, tiny_recipe

import vedette_converters.convert as module
from vedette_converters.convert import convert
from vedette_converters.samples import VideoClips
from vedette_converters.targets import Model
from vedette_edge import __version__
from vedette_edge.bundle import open_bundle
from vedette_edge.errors import DataError, ProofError, UsageError
from vedette_edge.preprocess import to_tensor
from vedette_edge.proof import check_golden
from vedette_edge.runtimes import open_session
from vedette_edge.runtimes.onnx import OnnxSession
from vedette_edge.types import Outputs
from vedette_train.data.folder import fingerprint, scan
from vedette_train.runs import Sample, build_network, open_run


@pytest.fixture(scope="module")
def bundle(run_directory, tmp_path_factory):
    out = tmp_path_factory.mktemp("bundles") / "tiny"
    done = []
    convert(run_directory, out, release=7, on_progress=lambda *pair: done.append(pair))
    assert done[-1] == (2, 2)
    return open_bundle(out)


@pytest.fixture
def exported_once(bundle, monkeypatch):
    """Spares the seconds of exporting the same weights again."""
    (variant,) = bundle.manifest.variants
    file = Model(((".onnx", bundle.read(variant.files[0])),), variant.opset)
    monkeypatch.setattr(module, "to_onnx", lambda *_: file)


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


def test_the_golden_samples_are_real_clips_of_different_labels(bundle):
    golden = bundle.manifest.golden
    inputs = bundle.read_array(golden.inputs)
    assert inputs.shape == (2, 4, 32, 64, 3)
    assert inputs.dtype == np.uint8
    assert inputs.std() > 10
    assert not np.array_equal(inputs[0], inputs[1])
    assert bundle.read_array(golden.heatmap).shape == (2, 2, 4, 1, 2)


def test_a_golden_sample_is_judged_by_its_frames_alone():
    """The device is given nothing else of it, so the flow into its first frame must not count."""
    recipe = tiny_recipe(data__input__streams="flow", data__input__flow={})
    spec = recipe.data.input
    torch.manual_seed(0)
    network = seasoned(build_network(recipe, 2), torch.randn(4, 2, spec.frames, spec.height, spec.width))
    frames = np.stack([picture[:32] for picture in moving_square("left", 0, 4)])
    amid_a_stream = to_tensor(list(frames), spec)
    amid_a_stream[0, :, 0] = 1.0
    video = VideoClips(Sample(name="a", label="left", group="a"), frames[None], amid_a_stream)
    golden = module._golden_of(video, network, spec)
    with torch.inference_mode():
        alone, amid = (
            network(torch.from_numpy(tensor)).numpy()
            for tensor in (to_tensor(list(frames), spec), amid_a_stream)
        )
    np.testing.assert_allclose(golden.outputs.logits, alone, atol=1e-5)
    assert np.abs(alone - amid).max() > 1e-3


def test_the_bundle_holds_its_files_and_no_more(bundle):
    names = {path.relative_to(bundle.directory).as_posix() for path in bundle.directory.rglob("*.*")}
    golden = {f"golden/{name}.npy" for name in ("inputs", "logits", "heatmap")}
    assert names == {"manifest.json", "model.onnx"} | golden


@pytest.mark.usefixtures("exported_once")
def test_background_labels_raise_no_alarm(own_run, tmp_path):
    path = own_run / "recipe.yaml"
    path.write_text(path.read_text().replace("background: []", "background: [left]"))
    manifest = convert(own_run, tmp_path / "bundle")
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


@pytest.mark.usefixtures("exported_once")
def test_a_dataset_that_moved_is_named(own_run, data, tmp_path):
    moved = shutil.copytree(data, tmp_path / "moved")
    text = (own_run / "run.json").read_text().replace(str(data), str(tmp_path / "gone"))
    (own_run / "run.json").write_text(text)
    with pytest.raises(DataError, match="say where it is with --data"):
        convert(own_run, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
    convert(own_run, tmp_path / "bundle", data=moved)
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


class Noisy:
    """The device's runtime, but off by a little, or broken."""

    def __init__(self, model, noise):
        self._session, self._noise = OnnxSession(model), np.float32(noise)

    def run(self, clips):
        found = self._session.run(clips)
        return Outputs(found.logits, found.heatmap + self._noise)


@pytest.mark.parametrize(("noise", "told"), [(1e-3, r"1\.0e-03"), (float("nan"), "nan")])
@pytest.mark.usefixtures("exported_once")
def test_an_export_that_differs_is_refused_and_nothing_is_left(
    noise, told, run_directory, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "OnnxSession", lambda model: Noisy(model, noise))
    with pytest.raises(ProofError, match=rf"largest difference .* {told} \(heatmap\), allowed 1e-04"):
        convert(run_directory, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, ProofError("not here")])
@pytest.mark.usefixtures("exported_once")
def test_an_interruption_in_the_last_check_leaves_nothing(error, run_directory, tmp_path, monkeypatch):
    def interrupted(*_):
        assert list(tmp_path.iterdir()), "the bundle is being built"
        raise error

    monkeypatch.setattr(module, "check_golden", interrupted)
    with pytest.raises(type(error) if isinstance(error, Exception) else error):
        convert(run_directory, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []
