from __future__ import annotations

import pytest

from vedette_edge.boards import BoardFacts, load_profiles
from vedette_edge.config import GovernorConfig
from vedette_edge.operation.doctor.hardware import (
    board,
    cpu_flags,
    memory,
    processor,
    temperature,
)
from vedette_edge.operation.sensors import Reading

MIB = 2**20


def test_the_board_is_named_with_its_profile():
    profiles = load_profiles()
    known = board(BoardFacts("aarch64", model="Raspberry Pi 5 Model B"), profiles["raspberry-pi-5"])
    assert (known.level, known.text) == ("ok", "Raspberry Pi 5 Model B, profile raspberry-pi-5")
    assert board(BoardFacts("riscv64"), None).level == "warn"


@pytest.mark.parametrize(
    ("machine", "flags", "level"),
    [
        ("x86_64", {"sse4_2", "avx2"}, "ok"),
        ("x86_64", {"sse4_2"}, "warn"),
        ("x86_64", set(), "ok"),
        ("aarch64", {"fp", "asimd"}, "ok"),
        ("armv7l", {"neon"}, "warn"),
    ],
)
def test_a_processor_without_fast_kernels_is_warned_of(machine, flags, level):
    finding = processor("a chip", 4, machine, flags)
    assert finding.level == level
    assert "a chip, 4 cores" in finding.text
    assert bool(finding.remedy) == (level != "ok")


@pytest.mark.parametrize(
    ("content", "flags"),
    [
        ("processor: 0\nflags\t\t: fpu avx2\n", {"fpu", "avx2"}),
        ("Features : fp asimd\n", {"fp", "asimd"}),
        ("", set()),
        (None, set()),
    ],
)
def test_the_flags_are_read_as_the_kernel_writes_them(tmp_path, content, flags):
    if content is not None:
        (tmp_path / "cpuinfo").write_text(content)
    assert cpu_flags(tmp_path / "cpuinfo") == flags


@pytest.mark.parametrize(("free", "level"), [(None, "warn"), (100, "fail"), (300, "warn"), (1000, "ok")])
def test_too_little_memory_is_told(free, level):
    assert memory(Reading(free_memory_bytes=None if free is None else free * MIB)).level == level


@pytest.mark.parametrize(("celsius", "level"), [(None, "warn"), (40.0, "ok"), (75.0, "warn"), (90.0, "fail")])
def test_heat_is_told_by_the_governors_limits(celsius, level):
    assert temperature(Reading(temperature_c=celsius), GovernorConfig()).level == level
