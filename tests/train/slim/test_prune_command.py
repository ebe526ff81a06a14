"""`vedette-train prune`, from a run to a slim one with its table."""

import re

import vedette_train.torchvision_compat  # noqa: F401 - before lightning is imported

import pytest
from anomaly_helpers import tiny_anomaly, write_surfaces
from door_helpers import through_door

from vedette_edge.errors import DataError
from vedette_train.__main__ import main
from vedette_train.anomaly.run import open_anomaly_run
from vedette_train.anomaly.training import fit_anomaly
from vedette_train.costs import parameter_count
from vedette_train.data.split import PARTS
from vedette_train.runs import open_run
from vedette_train.slim.cut import slimming_of


@pytest.fixture
def command(monkeypatch, capsys, tmp_path, cache):
    return through_door(main, monkeypatch, capsys, tmp_path, "vedette-train", XDG_CACHE_HOME=str(cache))


def row(name, printed):
    found = re.search(rf"│ {name} +│ +([\d,.]+) .*?│ +([\d,.]+)", printed)
    return tuple(float(number.replace(",", "")) for number in found.groups())


def test_a_run_becomes_a_slim_run_of_the_same_videos(command, run_directory, cache, tmp_path):
    code, printed = command(
        "prune", run_directory, "--out", "slim", "--epochs", 1, "--round-to", 4, "--cache", cache
    )
    assert code == 0, printed
    assert "Traceback" not in printed
    dense, slim = open_run(run_directory), open_run(tmp_path / "slim")
    assert row("parameters", printed) == (parameter_count(dense.network()), parameter_count(slim.network()))
    for name in ("GMAC", "CPU ms, p50"):
        assert row(name, printed)[0] > 0
    assert re.search(r"accuracy +│ [01]\.\d{3} \([01]\.\d{3} to", printed)
    assert [slim.info.part(part) for part in PARTS] == [dense.info.part(part) for part in PARTS]
    assert slim.recipe.train.distil.run == run_directory.resolve()
    assert slim.recipe.train.lr == pytest.approx(dense.recipe.train.lr / 3)
    widths = {
        len(kept.outputs.kept) % 4 for kept in slimming_of(slim.network()).layers.values() if kept.outputs
    }
    assert widths <= {0, 2}  # blocks of 6 channels have no multiple of 4 but 4 and themselves
    assert "of which 50% of the channels were removed" in (tmp_path / "slim" / "card.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--ratio", 1.0], 2, "vedette-train prune: ratio: Input should be less than 1"),
        (["--round-to", 0], 2, "round_to: Input should be greater than or equal to 1"),
        (["--keep", "head"], 2, "keep: no layer's name begins with 'head'; try: "),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(arguments, code, sentence, command, run_directory, cache):
    found, printed = command("prune", run_directory, "--out", "slim", "--cache", cache, *arguments)
    assert found == code
    assert sentence in printed
    assert "Traceback" not in printed


def test_a_detector_becomes_slim_too(command, tmp_path):
    quick = {
        "anomaly__standardise": True,
        "train__epochs": 1,
        "pictures__panels": 0,
        "pictures__overlays": False,
    }
    dense = fit_anomaly(tiny_anomaly(**quick), write_surfaces(tmp_path / "data"), tmp_path / "dense")
    code, printed = command("prune", "dense", "--out", "slim", "--epochs", 0, "--importance", "taylor")
    assert code == 0, printed
    assert re.search(r"image AUROC +│ [01]\.\d{3} \(", printed)
    slim = open_anomaly_run(tmp_path / "slim")
    detector, calibration = slim.detector()
    assert row("parameters", printed) == (parameter_count(dense.detector()[0]), parameter_count(detector))
    assert calibration.map_high > calibration.map_low
    assert slim.info.train == dense.info.train
    (tmp_path / "slim" / "slimming.json").write_text("{}")
    with pytest.raises(DataError, match="layers: missing"):
        slim.detector()
