from __future__ import annotations

import pytest

from vedette_edge.files import write_atomically


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_a_failure_leaves_the_old_content_and_no_temporary_file(tmp_path):
    target = tmp_path / "taken"
    target.mkdir()
    (target / "inside").touch()
    with pytest.raises(OSError, match="directory"):
        write_atomically(target, b"new")
    assert [one.name for one in tmp_path.iterdir()] == ["taken"]
