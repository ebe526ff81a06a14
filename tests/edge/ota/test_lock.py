from __future__ import annotations

import pytest

from vedette_edge.errors import UpdateError
from vedette_edge.ota.lock import BusyError, only_one


def test_a_second_visit_ends_at_once(tmp_path):
    store = tmp_path / "models"
    with only_one(store), pytest.raises(BusyError, match="another visit is under way"), only_one(store):
        raise AssertionError("two at once")
    with only_one(store):
        pass


def test_a_store_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "models").write_text("a file")
    with pytest.raises(UpdateError, match="cannot use this model store"), only_one(tmp_path / "models"):
        raise AssertionError("without a lock")
