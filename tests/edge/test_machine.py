from __future__ import annotations

import pytest

from vedette_edge.machine import Machine, cpu_name, peak_resident_bytes, this_machine


def test_a_machine_equals_itself_and_no_other():
    machine = this_machine(2)
    assert machine.fingerprint == this_machine(2).fingerprint
    others = [
        {"cpu": "another"},
        {"cores": machine.cores + 1},
        {"threads": 3},
        {"versions": machine.versions | {"onnxruntime": "0.1"}},
    ]
    prints = {machine.model_copy(update=change).fingerprint for change in others}
    assert len(prints) == len(others)
    assert machine.fingerprint not in prints


def test_it_names_the_processor_and_the_runtimes_but_nobody():
    machine = this_machine()
    assert machine.cpu
    assert {"vedette", "onnxruntime"} <= machine.versions.keys()
    assert set(Machine.model_fields) == {"cpu", "cores", "threads", "versions"}


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (
            "processor\t: 0\nmodel name\t: Fast 9000: the second\nmodel name\t: Other\n",
            "Fast 9000: the second",
        ),
        ("processor : 0\nBogoMIPS : 108.00\n\nModel : A Board Model B\n", "A Board Model B"),
    ],
)
def test_a_board_is_named_where_the_processor_is_not(tmp_path, lines, name):
    (tmp_path / "cpuinfo").write_text(lines)
    assert cpu_name(tmp_path / "cpuinfo") == name


def test_memory_is_told_also_where_the_system_has_no_proc(tmp_path):
    assert peak_resident_bytes() > 10_000_000
    assert peak_resident_bytes(tmp_path / "gone") > 10_000_000
