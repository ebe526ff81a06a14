"""`vedette-train import-checkpoint`, through its door."""

import re

import pytest
import torch
from door_helpers import through_door
from model_helpers import seasoned
from train_helpers import tiny_recipe

from vedette_train.__main__ import main
from vedette_train.models import create_model
from vedette_train.runs import build_network

CLIPS = torch.randn(3, 5, 8, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    return through_door(main, monkeypatch, capsys, tmp_path, "vedette-train", "import-checkpoint")


@pytest.fixture
def theirs(tmp_path):
    """A network of another hidden size, and its checkpoint under other names."""
    torch.manual_seed(0)
    network = seasoned(create_model("ds3d_fgattnet", hidden=96), CLIPS)
    state = {f"module.net.{key.replace('.', '_x.')}": value for key, value in network.state_dict().items()}
    torch.save({"model_state_dict": state, "epoch": 3}, tmp_path / "theirs.pth")
    return network


def test_it_writes_weights_that_a_recipe_can_start_from(command, theirs, tmp_path):
    code, printed = command(
        "theirs.pth",
        "--model",
        "ds3d_fgattnet",
        "--set",
        "hidden=96",
        "--labels",
        "No,Fight",
        "--out",
        "a/b.pt",
    )
    assert code == 0, printed
    assert "wrote a/b.pt, classes Fight, No" in printed
    assert re.search(r"net\.head_x\.logits_x.*head\.logits.*linear.*2x32", printed)
    state = torch.load(tmp_path / "a/b.pt", weights_only=True)
    network = create_model("ds3d_fgattnet", hidden=96).eval()
    network.load_state_dict(state)
    with torch.inference_mode():
        assert torch.allclose(network(CLIPS), theirs(CLIPS).flip(1), atol=1e-5)


def test_any_network_of_the_table_can_be_filled(command, tmp_path):
    recipe = tiny_recipe()
    torch.save(build_network(recipe, 4).state_dict(), tmp_path / "own.pth")
    sets = [part for key in ("width_mult=0.25", "mode=high_temporal") for part in ("--set", key)]
    code, printed = command("own.pth", "--model", "mobilenet_v2_3d", *sets, "--out", "out.pt")
    assert code == 0, printed
    assert len(torch.load(tmp_path / "out.pt", weights_only=True)["classifier.linear.bias"]) == 4


@pytest.mark.usefixtures("theirs")
@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (
            ["theirs.pth", "--model", "ds3d_fgattnet"],
            1,
            "layer 51 is net.head_x.hidden_x (linear: bias (96,)",
        ),
        (["theirs.pth", "--model", "ds3d_fgatnet"], 2, "unknown model 'ds3d_fgatnet', did you mean"),
        (["theirs.pth", "--model", "ds3d_fgattnet", "--set", "hiden=96"], 2, "did you mean 'hidden'?"),
        (
            ["theirs.pth", "--model", "ds3d_fgattnet", "--set", "hidden"],
            2,
            "--set hidden: expected key=value",
        ),
        (["theirs.pth", "--model", "ds3d_fgattnet", "--set", "hidden=["], 2, "the value is not YAML"),
        (["nothing.pth", "--model", "ds3d_fgattnet"], 1, "nothing.pth: cannot be read"),
    ],
)
def test_what_cannot_be_imported_is_told_in_one_sentence(arguments, code, sentence, command, tmp_path):
    found, printed = command(*arguments, "--out", "new.pt")
    assert (found, printed.count("\n")) == (code, 1)
    assert sentence in printed
    assert not (tmp_path / "new.pt").exists()


@pytest.mark.usefixtures("theirs")
def test_a_file_that_is_there_is_never_replaced(command, tmp_path):
    (tmp_path / "new.pt").write_text("kept")
    code, printed = command("theirs.pth", "--model", "ds3d_fgattnet", "--out", "new.pt")
    assert code == 2
    assert "new.pt is there already" in printed
    assert (tmp_path / "new.pt").read_text() == "kept"


def test_help_shows_an_example(command):
    code, printed = command("--help")
    assert code == 0
    assert "vedette-train import-checkpoint model_proposed.pth --model ds3d_fgattnet" in printed
