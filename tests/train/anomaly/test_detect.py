"""Using a run: judging files, profiling, pictures of what was found."""

import csv
import shutil

import cv2
import numpy as np
import pytest
import torch
from anomaly_helpers import tiny_anomaly

from vedette_edge.errors import ConfigError, DataError, UsageError
from vedette_edge.types import Box
from vedette_train.anomaly.detect import detect_files, find_pictures
from vedette_train.anomaly.evaluate import (
    evaluate_anomaly,
    judge_image,
    relative_score,
    write_anomaly_report,
)
from vedette_train.anomaly.pictures import heat_colours, map_on_picture
from vedette_train.anomaly.profiling import COLUMNS, profile_run
from vedette_train.anomaly.run import Calibration, open_anomaly_run


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_files_get_a_row_and_an_overlay_each(shared_run, surfaces, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"nothing")
    paths = [*find_pictures([surfaces / "test"]), broken]
    found = detect_files(shared_run, paths, tmp_path / "out")
    table = rows(tmp_path / "out" / "detections.csv")
    assert len(found) == len(table) == 11
    assert "is not a picture" in table[-1]["problem"]
    assert {row["predicted"] for row in table[:-1]} <= {"good", "bad"}
    for row, path in zip(table[:-1], paths, strict=False):
        overlay = cv2.imread(str(tmp_path / "out" / row["overlay"]))
        assert overlay.shape == cv2.imread(str(path)).shape
        assert (float(row["relative"]) >= 1) == (row["predicted"] == "bad")


def test_the_same_file_is_judged_as_in_the_report(shared_run, surfaces, tmp_path):
    report = {row["picture"]: row["score"] for row in rows(shared_run.directory / "predictions.csv")}
    detect_files(shared_run, [surfaces / "test" / "good" / "000.png"], tmp_path / "out")
    (row,) = rows(tmp_path / "out" / "detections.csv")
    assert row["score"] == report["test/good/000.png"]


def test_nothing_to_judge_is_told(shared_run, tmp_path):
    with pytest.raises(UsageError, match="no such file or folder"):
        find_pictures([tmp_path / "nowhere"])
    with pytest.raises(UsageError, match="no picture found"):
        find_pictures([tmp_path])
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match="none of 1 files can be read"):
        detect_files(shared_run, [tmp_path / "a.png"], tmp_path / "out")


def test_the_profile_has_the_agreed_columns_with_commas_escaped(shared_run, tmp_path):
    found = profile_run(shared_run, tmp_path, torch.device("cpu"), repeats=2)
    assert [one.name for one in found] == ["backbone", "detector", "whole"]
    for one in found:
        assert one.path.name == f"{one.name}_profiler_results.csv"
        assert one.milliseconds > 0
        table = rows(one.path)
        assert tuple(table[0]) == COLUMNS
        assert any(row["Operation"] == "aten::conv2d" for row in table)
        assert all(None not in row and float(row["CPU Time (ms)"]) >= 0 for row in table)
    calls = {row["Operation"]: int(row["Called"]) for row in rows(found[1].path)}
    assert calls["aten::conv2d"] == 2 * 6
    assert (tmp_path / "whole_trace.json").stat().st_size > 1000


def test_a_moved_dataset_is_judged_where_it_is_now(own_run, surfaces, tmp_path):
    before = (own_run.directory / "predictions.csv").read_text()
    moved = shutil.copytree(surfaces, tmp_path / "moved")
    (moved / "test" / "bad" / "dent" / "000.png").write_bytes(b"broken")
    with pytest.raises(DataError, match="1 of 10 test pictures cannot be used"):
        evaluate_anomaly(own_run, moved)
    shutil.copy(surfaces / "test" / "bad" / "dent" / "000.png", moved / "test" / "bad" / "dent" / "000.png")
    write_anomaly_report(own_run, evaluate_anomaly(own_run, moved))
    assert (own_run.directory / "predictions.csv").read_text() == before


def test_a_folder_that_is_no_such_run_is_told(tmp_path):
    with pytest.raises(DataError, match="is not a run of anomaly detection"):
        open_anomaly_run(tmp_path)


def test_a_map_lies_over_the_part_of_the_picture_that_it_speaks_of():
    found = np.array([[0.0, 0.0], [0.0, 1.0]], np.float32)
    drawn, seen = map_on_picture(found, (40, 80), Box(0.25, 0.0, 0.5, 1.0))
    assert drawn.shape == (40, 80)
    assert not seen[:, :20].any()
    assert seen[:, 20:60].all()
    row, column = np.unravel_index(drawn.argmax(), drawn.shape)
    assert row >= 30
    assert 50 <= column < 60
    assert (drawn[:, 60:] == 0).all()


@pytest.mark.parametrize("crop", ["stretch", "center", "letterbox"])
def test_every_crop_gives_a_map_for_a_wide_picture(crop):
    from vedette_train.anomaly.detectors import build_detector

    recipe = tiny_anomaly(data__input={"height": 64, "width": 64, "crop": crop})
    torch.manual_seed(0)
    judged = judge_image(build_detector(recipe), np.zeros((40, 90, 3), np.uint8), recipe)
    _, seen = map_on_picture(judged.map, judged.size, judged.region)
    share = {"stretch": (14 / 16) ** 2, "center": 40 / 90 * (14 / 16) ** 2, "letterbox": 14 / 16}[crop]
    assert seen.mean() == pytest.approx(share, abs=0.06)


def test_a_colormap_that_matplotlib_lacks_is_told():
    with pytest.raises(ConfigError, match="matplotlib has no 'sunset'"):
        heat_colours(np.zeros((4, 4), np.float32), 0, 1, "sunset")


def test_the_relative_score_is_one_at_the_threshold():
    errors = Calibration(threshold=4.0, map_low=0.5, map_high=9.0)
    assert [relative_score(score, errors) for score in (0.0, 2.0, 4.0, 8.0)] == [0.0, 0.5, 1.0, 2.0]
    logits = Calibration(threshold=-1.0, map_low=-5.0, map_high=3.0)
    assert [relative_score(score, logits) for score in (-5.0, -3.0, -1.0)] == [0.0, 0.5, 1.0]
