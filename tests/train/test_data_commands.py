"""`vedette-train data` and `prepare`, through their door."""

import re

import pytest
from door_helpers import through_door
from train_helpers import moving_square, tiny_recipe, write_dataset, write_pictures

from vedette_edge.manifest import FlowSpec
from vedette_train.__main__ import main


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    return through_door(
        main, monkeypatch, capsys, tmp_path, "vedette-train", XDG_CACHE_HOME=str(tmp_path / "cache")
    )


@pytest.fixture
def root(tmp_path):
    return write_dataset(tmp_path / "data", groups=2)


@pytest.fixture
def recipe_file(tmp_path):
    recipe = tiny_recipe()
    spec = recipe.data.input.model_copy(update={"streams": "rgb+flow", "flow": FlowSpec()})
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"input": spec})})
    path = tmp_path / "tiny.yaml"
    path.write_text(recipe.to_yaml())
    return path


@pytest.mark.parametrize(
    ("arguments", "example"),
    [
        (["data", "adopt"], "vedette-train data adopt rwf-2000 --out data/rwf"),
        (["data", "cut"], "vedette-train data cut recordings --out data/exercises --workers 8"),
        (["data", "check"], "vedette-train data check data/rwf --split-file split.csv"),
        (["data", "stats"], "vedette-train data stats data/rwf --recipe violence"),
        (["prepare"], "vedette-train prepare actions --data ~/videos --workers 8"),
    ],
)
def test_help_shows_an_example(arguments, example, command):
    code, printed = command(*arguments, "--help")
    assert code == 0
    assert example in printed


def test_preparing_says_what_was_kept_and_goes_on(command, root, recipe_file):
    (root / "left" / "x.mp4").write_bytes(b"")
    (root / "groups.csv").unlink()
    arguments = ("prepare", recipe_file, "--data", root, "--set", "data.max_unreadable=0.5", "--workers", 1)
    code, printed = command(*arguments)
    assert code == 0
    assert re.search(r"4 videos in \d\.\d MB, 1 left out: .*cache/vedette/frames", printed)
    assert "left out: " in printed
    assert "x.mp4: not a video" in printed
    kept = sorted((root.parent / "cache" / "vedette" / "frames").iterdir())
    assert len(kept) == 8
    before = [path.stat().st_mtime_ns for path in kept]
    assert command(*arguments)[0] == 0
    assert [path.stat().st_mtime_ns for path in kept] == before


def test_frames_can_be_kept_elsewhere(command, root, recipe_file, tmp_path):
    assert command("prepare", recipe_file, "--data", root, "--out", tmp_path / "kept")[0] == 0
    assert len(list((tmp_path / "kept").iterdir())) == 8


def test_too_many_unreadable_videos_are_an_error(command, root, recipe_file):
    (root / "groups.csv").unlink()
    (root / "left" / "x.mp4").write_bytes(b"")
    code, printed = command("prepare", recipe_file, "--data", root)
    assert code == 1
    assert "1 of 5 videos cannot be read" in printed


@pytest.mark.parametrize("encoding", ["repaired", "faithful"])
def test_arrays_are_written(encoding, command, root, recipe_file, tmp_path):
    code, printed = command(
        "prepare", recipe_file, "--data", root, "--npy", "--out", tmp_path / "npy", "--encoding", encoding
    )
    assert code == 0
    assert re.search(r"4 videos in \d\.\d MB, 0 left out: .*npy", printed)
    assert len(list((tmp_path / "npy").glob("*/*.npy"))) == 4


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        (["--npy"], "--npy needs --out DIR"),
        (
            ["--npy", "--out", "npy", "--set", "data.input.streams=rgb", "--set", "data.input.flow=null"],
            "recipe 'tiny' sees no flow; --npy needs data.input.streams: rgb+flow",
        ),
    ],
)
def test_arrays_need_a_place_and_flow(extra, sentence, command, root, recipe_file):
    code, printed = command("prepare", recipe_file, "--data", root, *extra)
    assert code == 2
    assert sentence in printed


def test_adopting_and_checking_go_together(command, tmp_path):
    for scene, part in enumerate(("train", "train", "val", "test")):
        for label in ("left", "right"):
            name = f"{part}/{label}/v_{label}_g0{scene}_c01.avi"
            write_pictures(tmp_path / "source" / name, moving_square(label, scene + 9 * len(label)))
    code, printed = command("data", "adopt", "source", "--out", "out")
    assert code == 0
    assert "linked 8 videos into out: 2 test, 4 train, 2 val; with groups.csv" in printed
    code, printed = command("data", "check", "out", "--workers", 1)
    assert code == 0
    assert re.search(r"left\s*│ 4\s*│ 4\s*│ test 1 train 2 val 1\s*│ 1\.5\s*│ 8\s*│ 64x48", printed)
    # As a random split would have it.
    table = (tmp_path / "out" / "split.csv").read_text()
    (tmp_path / "out" / "groups.csv").write_text(
        (tmp_path / "out" / "groups.csv").read_text().replace("left-g02", "left-g00")
    )
    (tmp_path / "mine.csv").write_text(table)
    code, printed = command("data", "check", "out", "--split-file", "mine.csv", "--workers", 1)
    assert code == 1
    assert "group in train and val: left/v_left_g00_c01.avi, left/v_left_g02_c01.avi" in printed
    assert "error: 1 sources lie in several parts" in printed


def test_without_a_split_nothing_can_leak(command, root):
    code, printed = command("data", "check", root, "--workers", 1)
    assert code == 0
    assert "no split file: fit deals the groups" in printed


def test_a_split_file_that_is_missing_is_named(command, root):
    code, printed = command("data", "check", root, "--split-file", "gone.csv")
    assert code == 1
    assert "gone.csv: cannot be read" in printed


def test_the_statistics_name_every_channel(command, root, recipe_file):
    code, printed = command("data", "stats", root, "--recipe", recipe_file, "--workers", 1)
    assert code == 0
    for name in ("r", "g", "b", "flow x", "flow y"):
        assert re.search(rf"│ {name}\s*│ -?[01]\.\d{{4}}\s*│ 0\.\d{{4}} │", printed)


def test_a_missing_ray_is_told_before_anything_is_done(command, root, recipe_file):
    code, printed = command("prepare", recipe_file, "--data", root, "--ray", "127.0.0.1:1")
    assert code == 1
    assert "no Ray cluster answers at 127.0.0.1:1" in printed or "vedette[ray]" in printed


def test_recordings_are_cut(command, tmp_path):
    write_pictures(tmp_path / "set/videos/7.mp4", moving_square("left", 0, 20))
    (tmp_path / "set/labels").mkdir()
    (tmp_path / "set/labels/7.csv").write_text("".join(f"{n},x,{n // 11}\n" for n in range(1, 21)))
    (tmp_path / "set/split.csv").write_text("id,split\n7,train\n")
    code, printed = command("data", "cut", "set", "--out", "out", "--least", 5)
    assert code == 0
    assert "wrote 2 clips of 2 labels into out" in printed
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0", "1", "groups.csv", "split.csv"]
