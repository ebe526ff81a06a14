from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.errors import VideoError
from vedette_edge.sources.network import read_password, shown, with_credentials

WORDS = st.text(min_size=1, max_size=20)


@given(WORDS, WORDS)
def test_credentials_join_an_address_without_changing_it_and_are_never_shown(username, password):
    url = "rtsp://10.0.0.7:554/live?channel=1"
    joined = with_credentials(url, username, password)
    parts = urlsplit(joined)
    assert (unquote(parts.username), unquote(parts.password)) == (username, password)
    assert (parts.hostname, parts.port, parts.path, parts.query) == ("10.0.0.7", 554, "/live", "channel=1")
    assert shown(joined) == "rtsp://10.0.0.7:554/live"


def test_without_a_user_name_the_address_stays_as_it_is():
    assert with_credentials("rtsp://camera/live", None, "") == "rtsp://camera/live"


def test_the_password_is_the_first_line_of_a_file_or_a_variable(tmp_path, monkeypatch):
    (tmp_path / "password").write_text(" pass word \nmore", encoding="utf-8")
    monkeypatch.setenv("CAMERA_PASSWORD", "other")
    assert read_password(str(tmp_path / "password"), None) == " pass word "
    assert read_password(None, "CAMERA_PASSWORD") == "other"
    assert read_password(None, None) == ""


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_password_that_cannot_be_read_is_one_sentence_without_it(tmp_path, content):
    if content is not None:
        (tmp_path / "password").write_bytes(content)
    with pytest.raises(VideoError, match="password: cannot read the camera's password there"):
        read_password(str(tmp_path / "password"), None)


def test_a_variable_that_is_not_there_is_named():
    with pytest.raises(VideoError, match="the environment has no NO_SUCH_VARIABLE"):
        read_password(None, "NO_SUCH_VARIABLE")
