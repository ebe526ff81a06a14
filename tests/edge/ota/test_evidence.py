from __future__ import annotations

import pytest
from following_helpers import NEW, OLD, evidence_of, record_of
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.errors import UpdateError
from vedette_edge.ota.evidence import (
    Usual,
    counted,
    may_start,
    read_evidence,
    slot_to_run,
    with_failure,
    write_evidence,
)


@given(starts=st.integers(0, 9), tries=st.integers(1, 9), failed=st.sampled_from(["", "slow"]))
def test_a_candidate_may_start_as_long_as_it_has_tries_and_has_not_failed(starts, tries, failed):
    record, evidence = record_of(tries=tries), evidence_of(starts=starts, failed=failed)
    allowed = starts < tries and not failed
    assert may_start(record, evidence) is allowed
    assert slot_to_run(record, evidence) == (NEW.slot if allowed else OLD.slot)


def test_a_start_begins_the_seconds_anew_and_keeps_what_was_usual():
    usual = Usual(p95_ms=3.0, dropped=0.0)
    before = evidence_of(starts=1, seconds=99.0, verdicts=7, usual=usual)
    after = counted(record_of(), before, 5.0)
    assert (after.starts, after.seconds, after.verdicts, after.usual, after.updated) == (
        2,
        0.0,
        0,
        usual,
        5.0,
    )


def test_a_reason_that_is_too_long_is_cut_and_one_that_is_empty_still_is_a_failure():
    assert len(with_failure(record_of(), None, "x" * 5000, 1.0).failed) == 1000
    assert with_failure(record_of(), evidence_of(starts=2), "", 1.0).failed == "no reason"


def test_what_is_written_is_read_and_directories_are_made(tmp_path):
    path = tmp_path / "state" / "ota" / "fights.json"
    assert read_evidence(path) is None
    write_evidence(path, evidence_of(starts=2))
    assert read_evidence(path) == evidence_of(starts=2)


def test_what_cannot_be_read_or_written_is_one_error(tmp_path):
    path = tmp_path / "fights.json"
    path.mkdir()
    with pytest.raises(UpdateError, match="cannot read it"):
        read_evidence(path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UpdateError, match="cannot write what was seen of an update"):
        write_evidence(tmp_path / "file" / "ota" / "fights.json", evidence_of())


@given(st.binary(max_size=300))
def test_no_bytes_are_taken_for_evidence_that_are_none(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("e") / "e.json"
    path.write_bytes(data)
    with pytest.raises(UpdateError, match="is no valid evidence"):
        read_evidence(path)
