import contextlib
import json
from datetime import datetime, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tuf.api.metadata import Role
from tuf_helpers import record_flushes

from vedette_edge.errors import TransportError, UpdateError
from vedette_edge.ota.floor import BUILT, Floor, FloorFile, Statement

KEYS = "abcdef"
names = st.sampled_from(["targets", "fleet-a", "fleet-b"])
statements = st.builds(
    Statement,
    signers=st.sets(st.sampled_from(KEYS)).map(lambda keys: tuple(sorted(keys))),
    versions=st.dictionaries(names, st.integers(1, 100)),
)


def roles(keys="ab", threshold=1):
    return {name: Role(list(keys), threshold) for name in ("timestamp", "snapshot")}


def said(signers="a", **versions):
    return Statement(signers=tuple(signers), versions=versions)


def after(floor, *, keys="ab", threshold=1, root=1, timestamp=None, snapshot=None, now=BUILT):
    timestamp = timestamp or said(timestamp=1, snapshot=1)
    return floor.after(roles(keys, threshold), root, timestamp, snapshot or said(targets=1), now)


@pytest.fixture
def file(tmp_path):
    return FloorFile(tmp_path / "store" / "floor.json")


class TestVersions:
    def test_they_rise(self):
        floor = after(after(Floor()), timestamp=said(timestamp=5, snapshot=4), snapshot=said(targets=3))
        assert floor.timestamp.versions == {"timestamp": 5, "snapshot": 4}
        assert floor.snapshot.versions == {"targets": 3}

    def test_a_role_that_was_not_looked_at_is_remembered(self):
        floor = after(Floor(), snapshot=said(targets=3, **{"fleet-a": 7}))
        assert after(floor, snapshot=said(targets=4)).snapshot.versions == {"targets": 4, "fleet-a": 7}

    def test_they_fall_only_when_root_has_taken_the_keys_away(self):
        floor = after(Floor(), timestamp=said("a", timestamp=1_000_000, snapshot=9))
        kept = after(floor, keys="ac", timestamp=said("c", timestamp=2, snapshot=9))
        assert kept.timestamp.versions["timestamp"] == 1_000_000
        recovered = after(floor, keys="c", timestamp=said("c", timestamp=2, snapshot=9))
        assert recovered.timestamp.versions["timestamp"] == 2

    def test_too_few_of_the_keys_that_are_left_bind_nobody(self):
        statement = said("abc", timestamp=5)
        assert statement.binds(Role(["a", "b", "x"], 2))
        assert not statement.binds(Role(["a", "x", "y"], 2))

    def test_root_never_falls(self):
        assert after(after(Floor(), root=5), root=3).root == 5

    @given(st.lists(st.tuples(statements, st.sets(st.sampled_from(KEYS), min_size=1)), max_size=8))
    def test_while_a_key_that_signed_is_still_there_no_version_falls(self, history):
        floor = Floor()
        for statement, keys in history:
            before = floor.snapshot
            floor = after(floor, keys=sorted(keys), snapshot=statement)
            if set(before.signers) & keys:
                assert all(floor.snapshot.versions[name] >= before.versions[name] for name in before.versions)


class TestTime:
    def test_it_never_steps_back(self):
        floor = after(Floor(), now=BUILT + 100)
        assert after(floor, now=BUILT + 50).time == BUILT + 100
        assert floor.reference_time(BUILT + 50) == BUILT + 100
        assert floor.reference_time(BUILT + 150) == BUILT + 150

    @pytest.mark.parametrize("now", [0.0, 1.0, BUILT - 1])
    def test_it_is_never_before_this_code_was_built(self, now):
        assert Floor().reference_time(now) == BUILT

    def test_this_code_was_built_in_the_past(self):
        assert datetime.now(timezone.utc).timestamp() > BUILT

    def test_a_version_is_dated_by_when_it_was_seen_first(self):
        floor = after(after(Floor(), now=BUILT + 1), now=BUILT + 2)
        assert floor.sightings["timestamp"].time == BUILT + 1
        floor = after(floor, timestamp=said(timestamp=2, snapshot=1), now=BUILT + 3)
        assert floor.sightings["timestamp"].time == BUILT + 3
        assert floor.sightings["snapshot"].time == BUILT + 1


class TestFile:
    def test_where_there_is_none_it_is_fresh(self, file):
        assert file.read() == Floor()

    def test_what_is_written_is_read(self, file):
        written = file.write(after(Floor(), root=4))
        assert file.read() == written
        assert written.root == 4

    @pytest.mark.parametrize("damage", [b"", b"{", b"\x00" * 500, b'{"schema_version": 2}', b"[]", b"\xff"])
    @pytest.mark.parametrize("which", ["floor.json", "floor.second.json"])
    def test_its_double_is_taken_where_one_is_damaged(self, file, tmp_path, damage, which, caplog):
        written = file.write(after(Floor(), root=4))
        (tmp_path / "store" / which).write_bytes(damage)
        assert file.read() == written
        assert which in caplog.text

    @pytest.mark.parametrize("which", ["floor.json", "floor.second.json"])
    def test_its_double_is_taken_where_one_is_lost(self, file, tmp_path, which):
        written = file.write(after(Floor(), root=4))
        (tmp_path / "store" / which).unlink()
        assert file.read() == written

    def test_the_newer_is_taken_after_a_cut_between_the_two(self, file, tmp_path):
        old = file.write(after(Floor(), root=4))
        new = old.model_copy(update={"seq": old.seq + 1, "root": 5})
        (tmp_path / "store" / "floor.json").write_text(new.model_dump_json())
        assert file.read() == new

    def test_where_both_are_damaged_nothing_is_taken_until_somebody_decides(self, file, tmp_path):
        file.write(Floor())
        for path in (tmp_path / "store").iterdir():
            path.write_bytes(b"")
        with pytest.raises(UpdateError, match="Remove both files if you are sure"):
            file.read()

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.binary(max_size=200) | st.recursive(st.integers() | st.text(), st.lists).map(json.dumps))
    def test_whatever_stands_there_is_a_floor_or_one_clear_error(self, file, tmp_path, document):
        path = tmp_path / "store" / "floor.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(document if isinstance(document, bytes) else document.encode())
        with contextlib.suppress(UpdateError):
            file.read()

    def test_a_directory_that_cannot_be_written_is_one_clear_error(self, tmp_path):
        (tmp_path / "store").write_bytes(b"")
        with pytest.raises(TransportError, match="cannot write it"):
            FloorFile(tmp_path / "store" / "floor.json").write(Floor())

    def test_both_are_on_the_disk_before_it_is_said(self, file, tmp_path, monkeypatch):
        flushed = record_flushes(monkeypatch)
        file.write(Floor())
        store = str(tmp_path / "store")
        assert [name for name in flushed if name == store] == [store] * 2
        assert sum(".tmp" in name for name in flushed) == 2

    def test_it_says_which_schema_it_is(self, file, tmp_path):
        file.write(Floor())
        assert json.loads((tmp_path / "store" / "floor.json").read_text())["schema_version"] == 1
