from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.ids import ulid
from vedette_edge.recording.retention import Kept, Retention, to_go

NOW = 1_700_000_000.0
DAY = 86_400.0
kept = st.builds(Kept, st.just((Path("x"),)), st.integers(0, 100), st.floats(0, 1000))


def retention(*directories, max_bytes=10_000, keep_days=10):
    return Retention(directories, max_bytes=max_bytes, keep_days=keep_days, now=lambda: NOW)


def put(directory, name, size, days=0.0):
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_bytes(bytes(size))
    os.utime(path, (NOW - days * DAY,) * 2)
    return path


def clip(directory, number, size=1000, days=0.0):
    name = f"door-{ulid(number, bytes(10))}"
    return [
        put(directory, name + suffix, part, days) for suffix, part in ((".webm", size - 10), (".json", 10))
    ]


@given(st.lists(kept), st.integers(0, 500), st.floats(0, 1000))
def test_what_stays_fits_is_young_enough_and_is_the_newest(everything, max_bytes, max_age):
    going = to_go(everything, now=1000.0, max_bytes=max_bytes, max_age=max_age)
    staying = list(everything)
    for one in going:
        staying.remove(one)
    assert sum(one.bytes for one in staying) <= max_bytes
    assert all(1000.0 - one.modified <= max_age for one in staying)
    assert not going or not staying or going[-1].modified <= min(one.modified for one in staying)


@given(st.lists(kept), st.integers(0, 500), st.floats(0, 1000))
def test_no_more_goes_than_must(everything, max_bytes, max_age):
    going = to_go(everything, now=1000.0, max_bytes=max_bytes, max_age=max_age)
    if going:
        spared = sum(one.bytes for one in everything) - sum(one.bytes for one in going[:-1])
        assert spared > max_bytes or 1000.0 - going[-1].modified > max_age


def test_the_oldest_clips_go_with_their_records_until_the_rest_fits(tmp_path):
    clips = [clip(tmp_path, number, days=9 - number) for number in range(5)]
    retention(tmp_path, max_bytes=2500).tidy()
    assert sorted(tmp_path.iterdir()) == sorted(clips[3] + clips[4])


def test_what_is_too_old_goes_though_there_is_room(tmp_path):
    old, young = clip(tmp_path, 1, days=11), clip(tmp_path, 2, days=9)
    retention(tmp_path).tidy()
    assert sorted(tmp_path.iterdir()) == sorted(young)
    assert not old[0].exists()


def test_pictures_and_clips_share_the_bound(tmp_path):
    (tmp_path / "pictures").mkdir()
    picture = put(tmp_path / "pictures", f"door-{ulid(1, bytes(10))}-fight.jpg", 1500, days=3)
    webp = put(tmp_path / "pictures", f"door-{ulid(2, bytes(10))}-Schl-gerei.webp", 500, days=1)
    clips = clip(tmp_path / "clips", 3, days=2)
    retention(tmp_path / "clips", tmp_path / "pictures", max_bytes=1600).tidy()
    assert [one.exists() for one in (picture, webp, *clips)] == [False, True, True, True]


def test_files_of_others_are_left_alone(tmp_path):
    names = ["notes.txt", "holiday.webm", "door-fight.jpg", f"{ulid(1, bytes(10))}.json", ".hidden.tmp"]
    paths = [put(tmp_path, name, 9000, days=99) for name in names]
    keeper = retention(tmp_path, max_bytes=1)
    keeper.recover()
    keeper.tidy()
    assert all(path.exists() for path in paths)


def test_what_a_kill_left_is_removed_and_nothing_else(tmp_path):
    name = f"door-{ulid(1, bytes(10))}"
    left = [
        put(tmp_path, one, 10)
        for one in (f".{name}.webm.71.tmp", f".{name}.json.71.tmp", f".{name}-a.jpg.1.tmp")
    ]
    whole = clip(tmp_path, 1)
    retention(tmp_path).recover()
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in whole)


def test_directories_that_are_not_there_yet_are_no_trouble(tmp_path):
    keeper = retention(tmp_path / "clips")
    keeper.recover()
    keeper.tidy()


def test_what_cannot_be_removed_is_told(tmp_path, caplog, monkeypatch):
    clip(tmp_path, 1, days=99)
    monkeypatch.setattr(Path, "unlink", _refuse)
    retention(tmp_path).tidy()
    assert "cannot remove" in caplog.text


def _refuse(*_, **__):
    raise PermissionError(13, "Permission denied")
