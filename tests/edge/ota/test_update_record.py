import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from update_twin import MODEL, entry_of

from vedette_edge.errors import UpdateError
from vedette_edge.ota.contents import MAX_CONTENTS_BYTES, Contents, parse_contents, rebuilt
from vedette_edge.ota.layout import ModelPlace, Store, evidence_path, look_path
from vedette_edge.ota.record import (
    MAX_RECORD_BYTES,
    MOST_REFUSED,
    Installed,
    Record,
    Refused,
    other_slot,
    parse_record,
    read_record,
)

A, B = Installed(slot="a", release=1, digest="a" * 64), Installed(slot="b", release=2, digest="b" * 64)
WHERE = Path("record.json")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"state": "trial"}, "state trial without a candidate"),
        ({"state": "idle", "candidate": A}, "state idle with a candidate"),
        ({"state": "fetch", "candidate": A, "committed": A}, "in the slot of the committed model"),
    ],
)
def test_a_record_that_makes_no_sense_is_no_record(fields, why):
    with pytest.raises(ValueError, match=why):
        Record(model=MODEL, **fields)


def test_the_slot_that_may_be_written_to_is_not_the_committed_one():
    assert [other_slot(Record(model=MODEL, committed=one)) for one in (None, A, B)] == ["a", "b", "a"]


def test_a_record_is_read_from_a_file(tmp_path):
    record = Record(model=MODEL, committed=A, floor=1)
    (tmp_path / "record.json").write_text(record.model_dump_json())
    assert read_record(tmp_path / "record.json") == record


def test_a_record_that_is_not_there_or_cannot_be_read_is_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_record(tmp_path / "none")
    with pytest.raises(UpdateError, match="cannot read it"):
        read_record(tmp_path)


@given(st.binary(max_size=200))
def test_no_bytes_make_a_reader_fail_in_another_way(document):
    for parse in (parse_record, parse_contents):
        with pytest.raises(UpdateError, match="valid"):
            parse(document, WHERE)


def test_what_is_too_long_is_not_read():
    with pytest.raises(UpdateError, match="longer than"):
        parse_record(b" " * (MAX_RECORD_BYTES + 1), WHERE)
    with pytest.raises(UpdateError, match="longer than"):
        parse_contents(b" " * (MAX_CONTENTS_BYTES + 1), WHERE)


def test_the_longest_record_fits_into_its_file():
    refused = tuple(Refused(release=1, digest=f"{n:064x}", reason="\x01" * 1000) for n in range(MOST_REFUSED))
    document = Record(model=MODEL, refused=refused).model_dump_json(indent=2).encode()
    assert len(document) <= MAX_RECORD_BYTES
    assert parse_record(document, WHERE).refused == refused


def contents(slot, number, **changes):
    manifest = entry_of("manifest.json", b"%d" % number)
    installed = Installed(slot=slot, release=number, digest=manifest.sha256)
    return Contents(model=MODEL, installed=installed, files=(manifest,), **changes)


def test_contents_name_the_manifest_of_what_is_installed():
    document = json.loads(contents("a", 1).model_dump_json())
    document["installed"]["digest"] = "0" * 64
    with pytest.raises(UpdateError, match="with the digest of what is installed"):
        parse_contents(json.dumps(document).encode(), WHERE)


def test_what_was_never_committed_proves_nothing():
    assert rebuilt(MODEL, [contents("a", 1)], lambda _: True) == Record(model=MODEL)


def test_the_last_commit_counts_even_if_its_release_is_lower():
    """As it is after a bundle was adopted by hand."""
    old, new = contents("a", 5, committed=3, floor=5), contents("b", 0, committed=9, floor=5)
    record = rebuilt(MODEL, [old, new], lambda _: True)
    assert (record.committed, record.floor, record.seq) == (new.installed, 5, 9)


def test_files_are_looked_at_only_as_far_as_is_needed():
    seen = []
    old, new = contents("a", 1, committed=3), contents("b", 2, committed=9)
    rebuilt(MODEL, [old, new], lambda one: bool(seen.append(one)) or True)
    assert seen == [new]


def test_where_no_slot_is_whole_floor_and_refused_releases_are_kept():
    refused = (Refused(release=7, digest="7" * 64, reason="slow"),)
    new = contents("b", 2, committed=9, floor=2, refused=refused)
    record = rebuilt(MODEL, [new], lambda _: False)
    assert (record.committed, record.floor, record.refused) == (None, 2, refused)


def test_every_name_of_the_store_is_told_from_a_model():
    store = Store(Path("/s"))
    place = store.model("metadata")
    assert place == ModelPlace(Path("/s/metadata"))
    assert place.name == "metadata"
    assert store.metadata != place.directory
    assert store.floor.name == "floor.json"
    names = {place.record, place.partial, *(f(one) for f in (place.slot, place.contents) for one in "ab")}
    assert len(names) == 6


def test_evidence_lies_with_the_agent():
    assert evidence_path(Path("/st"), "door") == Path("/st/ota/door.json")
    assert look_path(Path("/st")) == Path("/st/ota/look")
