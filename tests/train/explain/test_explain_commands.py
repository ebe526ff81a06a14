"""`explain`, `predict`, `stability` and `data preview`, through their door."""

import json
import re

import pytest
from door_helpers import through_door
from train_helpers import moving_square, tiny_recipe, write_pictures

from vedette_train.__main__ import main


@pytest.fixture
def command(monkeypatch, capsys, tmp_path, cache):
    return through_door(main, monkeypatch, capsys, tmp_path, "vedette-train", XDG_CACHE_HOME=str(cache))


@pytest.fixture
def videos(tmp_path):
    """A folder of a class with two videos and a file that is none."""
    for number in range(2):
        write_pictures(tmp_path / "clips" / "left" / f"{number}.mp4", moving_square("left", number, 8))
    (tmp_path / "clips" / "left" / "bad.mp4").write_bytes(b"nothing")
    return tmp_path / "clips"


@pytest.mark.parametrize(
    ("arguments", "example"),
    [
        (["explain"], "vedette-train explain runs/demo out/data/squat --out out/explained --still"),
        (["predict"], "vedette-train predict runs/demo clips --out out/predictions --overlay"),
        (["stability"], "vedette-train stability runs/demo --part val --out out/stability --overlay"),
        (["data", "preview"], "vedette-train data preview demo --data out/data --out debug_output"),
    ],
)
def test_help_shows_an_example(arguments, example, command):
    code, printed = command(*arguments, "--help")
    assert code == 0
    assert example in printed


@pytest.mark.parametrize(
    "method", [[], ["--method", "hirescam", "--layer", "features.5", "--label", "right"]]
)
def test_explaining_writes_a_film_and_a_sheet_for_each_video(method, command, run, videos, tmp_path):
    code, printed = command("explain", run.directory, videos, "--out", tmp_path / "out", "--still", *method)
    assert code == 1
    assert "left out: " in printed
    assert "wrote 2 videos to" in printed
    assert printed.endswith(
        "vedette-train: error: 1 of 3 videos could not be read and were left out: left/bad.mp4; "
        "repair or remove them\n"
    )
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"left_{number}.{kind}" for number in range(2) for kind in ("mp4", "png")
    }


def test_predicting_prints_a_table_and_writes_nothing_unless_told(command, run, videos, tmp_path):
    code, printed = command("predict", run.directory, videos / "left" / "0.mp4")
    assert code == 0
    assert re.search(r"left/0\.mp4 +│ left +│", printed)
    assert {path.name for path in tmp_path.iterdir()} == {"clips"}


def test_predicting_goes_on_after_a_bad_video(command, run, videos, tmp_path):
    code, printed = command("predict", run.directory, videos, "--out", "out", "--overlay")
    assert code == 1
    assert "1 of 3 videos could not be read" in printed
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "windows.csv",
        "videos.csv",
        "summary.json",
        "left_0.mp4",
        "left_1.mp4",
    }
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["videos"] == 2


def test_predictions_of_trained_videos_are_called_that(command, run_directory, data, tmp_path):
    code, printed = command("predict", run_directory, data, "--out", tmp_path / "out")
    assert code == 0
    assert re.search(r"\d of these videos were trained on: what is right there says little", printed)
    rows = (tmp_path / "out" / "videos.csv").read_text().splitlines()
    assert {row.rsplit(",", 1)[1] for row in rows[1:]} >= {"train", "val"}


def test_when_every_video_is_bad_there_is_still_a_sentence(command, run, videos):
    for name in ("predict", "stability"):
        code, printed = command(name, run.directory, videos / "left" / "bad.mp4", "--out", "out")
        assert code == 1
        assert "1 of 1 videos could not be read" in printed


def test_steadiness_is_measured_on_a_part_of_the_dataset(command, new_run, tmp_path):
    run = new_run([("left/left_0.mp4", "left", "a"), ("right/right_0.mp4", "right", "b")])
    code, printed = command("stability", run.directory, "--part", "val", "--out", "out", "--overlay")
    assert code == 0
    assert re.search(r"flips per minute +│ \S+ +│ .* to .*│ 2 ", printed)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "summary.json",
        *(f"{name}.{kind}" for name in ("left_left_0", "right_right_0") for kind in ("csv", "png", "mp4")),
    }


def test_clips_can_be_seen_before_training(command, data, tmp_path):
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(tiny_recipe().to_yaml())
    code, printed = command("data", "preview", recipe, "--data", data, "--count", 2)
    assert code == 0
    assert "wrote 2 pairs of videos to debug_output" in printed
    assert len(list((tmp_path / "debug_output").glob("vid_*.mp4"))) == 4


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["predict", "RUN", "x.mp4", "--overlay"], 2, "--overlay writes videos: say where with --out DIR"),
        (["stability", "RUN", "--out", "o"], 2, "name either videos, or a part of the run's dataset"),
        (["stability", "RUN", "x.mp4", "--part", "val", "--out", "o"], 2, "name either videos, or a part"),
        (["stability", "RUN", "--part", "test", "--out", "o"], 2, "has no videos of part 'test'"),
        (["explain", "RUN", "x.mp4", "--out", "o", "--label", "up"], 2, "no class 'up'; this run knows"),
        (["explain", "RUN", "x.mp4", "--out", "o", "--method", "x"], 2, "no method 'x'"),
        (["explain", "nowhere", "x.mp4", "--out", "o"], 1, "nowhere is not a run"),
    ],
)
def test_an_error_is_one_sentence_and_a_code(arguments, code, sentence, command, run):
    found, printed = command(*(run.directory if one == "RUN" else one for one in arguments))
    assert found == code
    lines = [line for line in printed.splitlines() if line.startswith("vedette-train: error: ")]
    assert len(lines) == 1
    assert sentence in lines[0]
