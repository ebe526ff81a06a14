from __future__ import annotations

import pytest

from vedette_edge.errors import DataError
from vedette_edge.tuning.clips import LabelledClip, read_clips


@pytest.fixture
def folder(tmp_path):
    for name in ("calm/a.mp4", "bright/b.mp4", "bright/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def listing(folder, text):
    path = folder / "groups.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_clips_come_in_the_order_of_the_list(folder):
    groups = listing(folder, "group,path,label,note\n7,bright/b.mp4,bright,x\n8,calm/a.mp4,calm,\n")
    assert read_clips(folder, groups) == [
        LabelledClip(folder / "bright/b.mp4", "bright/b.mp4", "bright", "7"),
        LabelledClip(folder / "calm/a.mp4", "calm/a.mp4", "calm", "8"),
    ]


GOOD = "path,label,group\nbright/b.mp4,bright,1\ncalm/a.mp4,calm,2\n"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "expected the columns path, label, group, found none"),
        ("path,label\n", "found path, label"),
        ("path,label,group\n", "lists no clip"),
        (GOOD + "calm/a.mp4,calm\n", "line 4"),
        (GOOD + "calm/a.mp4,calm,2\n", "listed twice: calm/a.mp4"),
        (GOOD + "calm/c.mp4,calm,2\n", r"not there in .*: calm/c.mp4"),
        (GOOD + "../../x.mp4,calm,2\n", "not in the folder of their label: ../../x.mp4"),
        ("path,label,group\nbright/b.mp4,bright,1\n", r"in .* but not listed: calm/a.mp4"),
        (GOOD.replace("calm,2", "bright,2"), "not in the folder of their label: calm/a.mp4"),
        (b"path,label,group\n\xff", "cannot read this list"),
    ],
)
def test_a_list_that_does_not_fit_its_folder_is_refused(folder, text, match):
    with pytest.raises(DataError, match=match):
        read_clips(folder, listing(folder, text))


def test_a_missing_list_is_an_error(folder):
    with pytest.raises(DataError, match="No such file"):
        read_clips(folder, folder / "none.csv")
