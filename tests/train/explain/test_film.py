"""Videos and stills with evidence laid over them."""

import cv2
import numpy as np
import pytest
from train_helpers import LABELS, input_spec, moving_square, write_pictures, write_timed_pictures

from vedette_edge.video import read_frames
from vedette_train.explain.cam import explainer
from vedette_train.explain.drawing import banner
from vedette_train.explain.film import film_of_view, film_width, sheet_of_view
from vedette_train.explain.subjects import Subject
from vedette_train.explain.view import Footage, View, look


def subject(path, truth="left"):
    return Subject(path, path.name, path.stem, truth, path.name)


def view_of(path, maps, shown=None):
    """Return a view of a video whose windows of 4 frames begin each half second."""
    footage = Footage()
    for frame in read_frames(path):
        footage.count(frame)
    count = len(maps)
    times = np.arange(count)[:, np.newaxis] / 2 + np.arange(4) / 8
    probabilities = np.tile(np.array([0.7, 0.3], np.float32), (count, 1))
    return View(
        footage, times, probabilities, np.array(shown or [0] * count), np.asarray(maps, np.float32), None
    )


def grey(path, frames=12, width=100, height=51):
    return write_pictures(path, [np.full((height, width, 3), 100, np.uint8)] * frames)


def left_only(count=3):
    maps = np.zeros((count, 1, 2, 4))
    maps[..., 0] = 1.0
    return maps


def picture_of(frame, width):
    """Return the part of a film's frame that is the source's picture."""
    top = banner(width, []).shape[0]
    return frame[top : top + round(width / 2)]


def test_a_film_has_every_frame_at_the_rate_of_its_source(tmp_path):
    path = grey(tmp_path / "a.mp4")
    done = []
    view = view_of(path, left_only())
    film_of_view(
        subject(path), view, input_spec(), LABELS, tmp_path / "film.mp4", lambda *pair: done.append(pair)
    )
    capture = cv2.VideoCapture(str(tmp_path / "film.mp4"))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(8.0)
    frames = [frame.image for frame in read_frames(tmp_path / "film.mp4")]
    assert len(frames) == 12
    assert done == [(number, 12) for number in range(1, 13)]
    assert film_width(view.footage) == frames[0].shape[1] == 400  # 100 pixels are too few to read by
    assert all(side % 2 == 0 for side in frames[0].shape[:2])


def test_the_colours_lie_where_the_evidence_is(tmp_path):
    path = grey(tmp_path / "a.mp4")
    film_of_view(subject(path), view_of(path, left_only()), input_spec(), LABELS, tmp_path / "film.mp4")
    for frame in read_frames(tmp_path / "film.mp4"):
        picture = picture_of(frame.image, 400).astype(int)
        assert np.ptp(picture[80, 16]) > 40
        assert abs(picture[:, 280:] - 100).max() < 30


def test_evidence_that_moves_in_time_moves_in_the_film(tmp_path):
    path = grey(tmp_path / "a.mp4")
    maps = np.zeros((2, 1, 1, 8))
    maps[0, ..., :2] = 1.0
    maps[1, ..., 6:] = 1.0
    film_of_view(subject(path), view_of(path, maps), input_spec(), LABELS, tmp_path / "film.mp4")
    pictures = [picture_of(frame.image, 400) for frame in read_frames(tmp_path / "film.mp4")]
    coloured = [np.ptp(picture.astype(int), axis=2) for picture in pictures]
    assert coloured[0][:, :40].mean() > 5 * coloured[0][:, 360:].mean()
    assert coloured[-1][:, 360:].mean() > 5 * coloured[-1][:, :40].mean()
    assert min(coloured[4][:, :40].mean(), coloured[4][:, 360:].mean()) > 20


def test_what_the_network_did_not_see_keeps_its_colours(tmp_path):
    path = grey(tmp_path / "a.mp4", width=100, height=50)
    spec = input_spec(crop="center", height=64, width=64)
    film_of_view(subject(path), view_of(path, np.ones((3, 1, 2, 2))), spec, LABELS, tmp_path / "film.mp4")
    picture = picture_of(next(iter(read_frames(tmp_path / "film.mp4"))).image, 400).astype(int)
    assert np.ptp(picture[100, 200]) > 40
    assert abs(picture[:, :80] - 100).max() < 30
    assert abs(picture[:, 320:] - 100).max() < 30


def test_a_video_of_varying_rate_keeps_its_length(tmp_path):
    times = [0.0, 0.1, 0.5, 0.6, 1.0, 1.9, 2.0]
    pictures = [np.full((48, 64, 3), 100, np.uint8)] * len(times)
    path = write_timed_pictures(tmp_path / "a.mp4", pictures, times)
    film_of_view(subject(path), view_of(path, left_only()), input_spec(), LABELS, tmp_path / "film.mp4")
    last = list(read_frames(tmp_path / "film.mp4"))[-1]
    assert last.time == pytest.approx(2.0, abs=0.05)


def test_a_folder_of_pictures_becomes_a_film_at_the_networks_rate(run, tmp_path):
    folder = tmp_path / "walk"
    folder.mkdir()
    for number, picture in enumerate(moving_square("left", 0, 12)):
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    spec, network = run.recipe.data.input, run.network()
    view = look(network, folder, spec, run.decision, explainer(network))
    film_of_view(subject(folder), view, spec, LABELS, tmp_path / "film.mp4")
    frames = list(read_frames(tmp_path / "film.mp4"))
    assert len(frames) == 12
    assert frames[-1].time == pytest.approx(11 / spec.fps, abs=0.01)


def test_a_single_picture_becomes_a_film(tmp_path):
    path = grey(tmp_path / "a.mp4", frames=1)
    film_of_view(
        subject(path, None), view_of(path, left_only(1)), input_spec(), LABELS, tmp_path / "film.mp4"
    )
    assert len(list(read_frames(tmp_path / "film.mp4"))) == 1


@pytest.mark.parametrize(("windows", "columns"), [(1, 1), (3, 3), (9, 5)])
def test_a_sheet_has_a_column_for_each_of_several_windows(windows, columns, tmp_path):
    path = write_pictures(tmp_path / "a.mp4", moving_square("right", 0, 40))
    view = view_of(path, left_only(windows), shown=[1] * windows)
    sheet_of_view(subject(path, None), view, input_spec(), LABELS, tmp_path / "sheet.png")
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape[1] == columns * 304 + 4
    # The square moves right from picture to picture.
    rows = sheet[40 + 26 : 40 + 26 + 225]
    white = [
        np.nonzero((rows[:, 4 + 304 * i : 304 + 304 * i] > 200).all(axis=2))[1].mean() for i in range(columns)
    ]
    assert white == sorted(white)
