"""A run as one file of torch.export: what the network gives, for any number of clips, or no file."""

import json
import re
import sys

import pytest
import torch

from vedette_edge.errors import ProofError, UsageError
from vedette_train.__main__ import main
from vedette_train.export import export_run, prove, to_program
from vedette_train.models import create_model
from vedette_train.runs import open_run


@pytest.fixture(scope="module")
def exported(run_directory, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported") / "model.pt2"
    assert export_run(open_run(run_directory), out).within(1e-4)
    return out


@pytest.mark.parametrize("clips", [1, 5])
def test_the_file_gives_logits_and_heatmap_for_any_number_of_clips(clips, exported, run_directory):
    run = open_run(run_directory)
    spec = run.recipe.data.input
    batch = torch.randn(clips, spec.channels, spec.frames, spec.height, spec.width)
    loaded = torch.export.load(exported).module()
    with torch.inference_mode():
        for found, wanted in zip(loaded(batch), run.network().forward_with_heatmap(batch), strict=True):
            torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_beside_the_graph_lies_what_a_program_must_know(exported, run_directory):
    notes = {"vedette.json": ""}
    torch.export.load(exported, extra_files=notes)
    found, run = json.loads(notes["vedette.json"]), open_run(run_directory)
    assert found["labels"] == ["left", "right"]
    assert found["temperature"] == run.decision.temperature
    assert found["input"] == run.recipe.data.input.model_dump(mode="json")


def test_the_file_holds_no_clips_and_no_paths_of_this_machine(exported, run_directory):
    program = torch.export.load(exported)
    assert program.example_inputs is None
    assert not any("stack_trace" in node.meta for node in program.graph.nodes)
    assert exported.stat().st_size < 3 * (run_directory / "model.pt").stat().st_size


def test_a_file_that_differs_is_refused(exported, run_directory):
    run = open_run(run_directory)
    network, spec = run.network(), run.recipe.data.input
    with torch.no_grad():
        network.head.bias += 0.01
    with pytest.raises(ProofError, match=r"largest difference .* \(logits\), .* allowed 1e-04; nothing was"):
        prove(exported.read_bytes(), network, spec)


def test_what_cannot_be_proved_is_not_written(own_run, tmp_path):
    state = torch.load(own_run / "model.pt", weights_only=True)
    state["classifier.linear.weight"][:] = 3e38  # finite, but not what comes of it
    torch.save(state, own_run / "model.pt")
    with pytest.raises(ProofError):
        export_run(open_run(own_run), tmp_path / "model.pt2")
    assert not (tmp_path / "model.pt2").exists()


def test_nothing_is_overwritten(run_directory, exported, tmp_path):
    before = exported.read_bytes()
    with pytest.raises(UsageError, match="is there already; choose another --out"):
        export_run(open_run(run_directory), exported)
    assert exported.read_bytes() == before
    with pytest.raises(UsageError, match="lies in no folder that there is"):
        export_run(open_run(run_directory), tmp_path / "nowhere" / "model.pt2")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ds3d_fgattnet", "late_fusion", "r3d_18"])
def test_other_networks_are_written_too(name, tmp_path):
    from train_helpers import input_spec

    torch.manual_seed(0)
    flow = {"streams": "rgb+flow", "flow": {}} if name.startswith("ds3d") else {}
    spec = input_spec(frames=8, height=48, width=48, **flow)
    frames = {"frames": 8} if name.startswith("ds3d") else {}
    network = create_model(name, num_classes=3, **frames).eval()
    torch.export.save(to_program(network, spec), tmp_path / "model.pt2")
    assert prove((tmp_path / "model.pt2").read_bytes(), network, spec).within(1e-4)


def test_the_command_writes_the_file_and_says_how_far_it_is(run_directory, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["vedette-train", "export", str(run_directory), "--out", "model.pt2"]
    monkeypatch.setattr(sys, "argv", arguments)
    assert main() == 0
    printed = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().err)
    assert re.search(r"wrote model\.pt2, \d+\.\d MB; largest difference: logits \d", printed)
    assert (tmp_path / "model.pt2").is_file()
    assert main() == 2
    assert "model.pt2 is there already" in capsys.readouterr().err
