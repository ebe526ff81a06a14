from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette_edge.engine.ledger import DAY, Fall, Ledger, LedgerFile, Run, boot_id, key_of

NOW = 1_700_000_000.0


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def process(tmp_path, clock):
    """Begins a process; what is open then, is closed as the system does when a process dies."""
    opened = []

    def die():
        for ledger in opened:
            if ledger._marks is not None:
                os.close(ledger._marks)
                ledger._marks = None
        opened.clear()

    def begin(boot="a"):
        die()
        opened.append(LedgerFile(tmp_path / "engine", boot=boot, clock=clock))
        return opened[-1]

    yield begin
    die()


def run(ledger, candidate="x", model="main"):
    ledger.tell(model, candidate, "loading")
    ledger.tell(model, candidate, "running")


def crash(process, candidate="x", boot="a"):
    """A process that dies in an inference of a candidate."""
    ledger = process(boot)
    run(ledger, candidate)
    ledger.mark("main", True)


def test_a_candidate_that_fell_in_two_processes_in_a_row_is_passed_over_for_a_day(process, clock):
    crash(process)
    assert process().passed_over("x") is None
    crash(process)
    fall = process().passed_over("x")
    assert (fall.count, fall.why) == (2, "its process ended in an inference")
    assert process().passed_over("y") is None
    clock.now += DAY - 1
    assert process().passed_over("x")
    clock.now += 1
    assert process().passed_over("x") is None


def test_what_falls_again_after_its_day_is_passed_over_at_once(process, clock):
    crash(process)
    crash(process)
    process()
    clock.now += DAY
    crash(process)
    assert process().passed_over("x").count == 3


def test_loading_counts_as_inferring(process):
    for _ in range(2):
        process().tell("main", "x", "loading")
    assert process().passed_over("x").why == "its process ended as it was loaded"


def test_an_end_between_two_inferences_is_not_the_candidates_fault(process):
    crash(process)
    ledger = process()
    run(ledger)
    ledger.mark("main", True)
    ledger.mark("main", False)
    assert process().ledger.falls == {}


def test_an_orderly_end_clears_what_ran(process):
    crash(process)
    ledger = process()
    run(ledger)
    ledger.close()
    assert process().ledger.falls == {}


def test_what_was_not_run_keeps_its_row(process):
    crash(process)
    ledger = process()
    run(ledger, "y")
    ledger.close()
    assert process().ledger.falls["x"].count == 1


def test_an_end_of_the_machine_is_no_fall(process):
    crash(process)
    crash(process, boot="b")
    assert process("c").passed_over("x") is None


def test_a_process_that_lived_for_an_hour_begins_a_new_row(process, clock):
    crash(process)
    crash(process)
    clock.now += 3600
    assert process().ledger.falls["x"].count == 1


def test_only_the_model_that_was_inferring_falls(process):
    for _ in range(2):
        ledger = process()
        run(ledger, "x", "one")
        run(ledger, "y", "two")
        ledger.mark("one", True)
        ledger.mark("one", False)
        ledger.mark("two", True)
    ledger = process()
    assert ledger.passed_over("x") is None
    assert ledger.passed_over("y")


def test_what_is_known_of_the_end_is_told_later(process):
    crash(process)
    ledger = process()
    run(ledger)
    ledger.mark("main", True)
    ledger.note("main", "it hung for 12 s")
    ledger.note("other", "nobody knows it")
    assert process().passed_over("x").why == "it hung for 12 s"


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"schema_version": 2}', b"\xff", b'{"runs": {"a": 1}}']
)
def test_a_damaged_ledger_is_as_none(process, tmp_path, damage):
    crash(process)
    process()
    (tmp_path / "engine" / "ledger.json").write_bytes(damage)
    assert process().ledger.falls == {}
    crash(process)
    assert process().ledger.falls["x"].count == 1


def test_where_none_can_be_kept_the_engine_runs_without(tmp_path, caplog):
    (tmp_path / "file").touch()
    ledger = LedgerFile(tmp_path / "file" / "engine")
    run(ledger)
    ledger.mark("main", True)
    ledger.close()
    assert "no ledger of the models is kept (Not a directory)" in caplog.text


def test_a_second_process_leaves_the_firsts_ledger_alone(process, tmp_path, caplog):
    first = process()
    run(first)
    second = LedgerFile(tmp_path / "engine")
    run(second, "z")
    second.mark("main", True)
    second.close()
    assert "another process keeps one there" in caplog.text
    first.mark("main", True)
    assert process().ledger.falls.keys() == {"x"}


def test_a_machine_names_its_start(tmp_path):
    (tmp_path / "id").write_text("abc\n")
    assert boot_id(tmp_path / "id") == "abc"
    assert boot_id(tmp_path / "gone") == ""
    assert boot_id() == boot_id()


ends = st.lists(st.sampled_from(["crash", "kill", "stop", "power"]), max_size=8)


@given(ends)
def test_a_candidate_is_passed_over_exactly_after_two_crashes_in_a_row(ends):
    ledger, row = Ledger(boot="0", began=NOW), 0
    for number, end in enumerate(ends, 1):
        ledger = ledger.with_run("main", Run(candidate="x", phase="running"))
        ledger = ledger.stopped() if end == "stop" else ledger
        boot = str(number) if end == "power" else ledger.boot
        ledger = ledger.reopened([0] if end in ("crash", "power") else [], boot, NOW + number)
        row = row + 1 if end == "crash" else 0
        assert bool(ledger.passed_over("x", NOW + number)) == (row >= 2)
        assert Ledger.model_validate_json(ledger.model_dump_json()) == ledger


def test_where_an_update_fell_what_ran_before_it_is_not_blamed():
    runs = {
        "main": Run(candidate="old", phase="running", slot=0),
        "main (shadow)": Run(candidate="new", phase="running", slot=1, update=True),
    }
    ledger = Ledger(boot="x", began=0.0, runs=runs)
    assert set(ledger.reopened([0, 1], "x", 1.0).falls) == {"new"}
    assert set(ledger.reopened([0], "x", 1.0).falls) == {"old"}
    assert set(ledger.reopened([0, 1], "y", 1.0).falls) == set()


def test_a_bundle_has_fallen_when_one_of_its_candidates_is_passed_over(tmp_path):
    fall = Fall(count=2, last=100.0, why="it crashed")
    ledger = Ledger(
        falls={key_of("a" * 64, "int8"): fall, key_of("b" * 64, "int8"): Fall(count=1, last=1, why="")}
    )
    (tmp_path / "ledger.json").write_text(ledger.model_dump_json())
    book = LedgerFile(tmp_path, boot="x", clock=lambda: 101.0)
    assert book.fallen("a" * 64) == fall
    assert book.fallen("b" * 64) is None
    book.close()


def test_what_does_nothing_any_more_is_not_in_the_ledger(tmp_path):
    book = LedgerFile(tmp_path, boot="x")
    book.tell("main", "old", "running")
    book.tell("beside", "new", "running", update=True)
    book.forget("beside")
    assert list(book.ledger.runs) == ["main"]
    book.close()
