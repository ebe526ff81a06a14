"""What a dataset's folder may look like, and what is said when it does not."""

import pytest
from train_helpers import write_groups

from vedette_edge.errors import DataError
from vedette_train.data.folder import fingerprint, scan


@pytest.fixture
def root(tmp_path):
    """Two classes with two files each; scanning never opens them."""
    for name in ("walk/b.mp4", "walk/a.MOV", "run/c.avi", "run/d.mkv"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path


def rows(root):
    names = sorted(path.relative_to(root).as_posix() for path in root.glob("*/*"))
    return [(name, name.split("/")[0], f"group of {name}") for name in names]


def test_labels_are_the_folders_and_videos_are_sorted(root):
    (root / "run" / "notes.txt").write_text("not a video")
    (root / "run" / "._c.avi").write_text("left behind by macOS")
    (root / ".thumbnails").mkdir()
    (root / "readme.txt").write_text("no class")
    found = scan(root)
    assert found.labels == ("run", "walk")
    assert [(video.name, video.label) for video in found.videos] == [
        ("run/c.avi", 0),
        ("run/d.mkv", 0),
        ("walk/a.MOV", 1),
        ("walk/b.mp4", 1),
    ]
    assert all(video.group is None and video.path.is_file() for video in found.videos)


def test_groups_come_from_the_table(root):
    write_groups(root, rows(root))
    assert {video.name: video.group for video in scan(root).videos} == {
        name: group for name, _, group in rows(root)
    }


def test_a_table_needs_no_labels(root):
    write_groups(root, [(name, group) for name, _, group in rows(root)], ("path", "group"))
    assert scan(root).videos[0].group == "group of run/c.avi"


def test_an_excluded_class_may_be_empty(root):
    (root / "empty").mkdir()
    assert scan(root, exclude=["empty"]).labels == ("run", "walk")


@pytest.mark.parametrize(
    ("exclude", "sentence"),
    [
        (["walk"], r"expected at least two class folders with videos, found 1 \(run\)"),
        (["walk", "run"], "expected at least two class folders with videos, found 0"),
        (["wlak", "rnu"], "has no class folder rnu, wlak to exclude"),
    ],
)
def test_what_is_excluded_must_be_there_and_leave_two(root, exclude, sentence):
    with pytest.raises(DataError, match=sentence):
        scan(root, exclude)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere: no such folder; expected a folder of classes"):
        scan(tmp_path / "nowhere")


def test_an_empty_class_folder_says_how_to_leave_it_out(root):
    (root / "stand").mkdir()
    (root / "stand" / "a.gif").write_bytes(b"")
    with pytest.raises(DataError, match=r"stand: class folder without videos .*data\.exclude=\[stand\]"):
        scan(root)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda table: table[1:], r"groups\.csv has no row for run/c\.avi; every video needs a group"),
        (lambda table: [("run/c.avi", "run", ""), *table[1:]], "line 2: expected columns path and group"),
        (lambda table: [*table, ("", "run", "x")], "line 6: expected columns path and group"),
        (lambda table: [*table[:2], ("walk/a.MOV", "run", "x"), table[3]], "line 4: label run but the file"),
        (lambda table: [*table, ("run/c.avi",)], "line 6: expected columns path and group"),
    ],
)
def test_a_table_that_disagrees_is_refused_with_its_line(root, spoil, sentence):
    write_groups(root, spoil(rows(root)))
    with pytest.raises(DataError, match=sentence):
        scan(root)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"file;scene\nrun/c.avi;1\n", "line 2: expected columns path and group"),
        (b"path,group\n\xff\xfe,1\n", "cannot be read"),
        (b"", "has no row for"),
    ],
)
def test_another_kind_of_table_is_refused(root, content, sentence):
    (root / "groups.csv").write_bytes(content)
    with pytest.raises(DataError, match=rf"groups\.csv.*{sentence}"):
        scan(root)


def test_the_fingerprint_is_of_names_and_sizes(root):
    before = fingerprint(scan(root))
    assert fingerprint(scan(root)) == before
    (root / "run" / "c.avi").write_bytes(b"longer than before")
    changed = fingerprint(scan(root))
    (root / "run" / "c.avi").rename(root / "run" / "e.avi")
    assert len({before, changed, fingerprint(scan(root))}) == 3


def test_a_link_to_nowhere_has_a_fingerprint(root):
    before = fingerprint(scan(root))
    (root / "run" / "link.mp4").symlink_to(root / "gone.mp4")
    assert fingerprint(scan(root)) != before
