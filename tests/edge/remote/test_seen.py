from __future__ import annotations

import pytest

from vedette_edge.remote.commands import Refused
from vedette_edge.remote.seen import Seen


def claimed_twice(seen, name):
    with pytest.raises(Refused) as caught:
        seen.claim(name)
    return caught.value.reason


def test_no_id_is_claimed_twice_not_even_after_a_restart(tmp_path):
    path = tmp_path / "state" / "commands"
    seen = Seen(path)
    seen.claim("a")
    assert claimed_twice(seen, "a") == "replayed"
    assert claimed_twice(Seen(path), "a") == "replayed"
    Seen(path).claim("b")
    assert claimed_twice(Seen(path), "a") == "replayed"


def test_the_last_1024_are_remembered(tmp_path):
    path = tmp_path / "commands"
    path.write_text("\n".join(f"id-{number}" for number in range(1024)))
    seen = Seen(path)
    assert claimed_twice(seen, "id-0") == "replayed"
    seen.claim("new")
    assert claimed_twice(seen, "id-1") == "replayed"
    seen.claim("id-0")
    assert len(path.read_text().split()) == 1024


def test_an_id_that_cannot_be_noted_is_not_done(tmp_path):
    (tmp_path / "file").touch()
    seen = Seen(tmp_path / "file" / "commands")
    assert claimed_twice(seen, "a") == "unavailable"
    assert claimed_twice(seen, "a") == "unavailable"


def test_a_damaged_file_is_begun_anew_and_told(tmp_path, caplog):
    path = tmp_path / "commands"
    path.write_bytes(b"\xff\xfe\x00")
    seen = Seen(path)
    seen.claim("a")
    assert claimed_twice(Seen(path), "a") == "replayed"
    assert "begun anew" in caplog.text
