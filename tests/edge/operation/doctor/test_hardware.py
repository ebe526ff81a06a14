from __future__ import annotations

import pytest

from vedette_edge.config import GovernorConfig
from vedette_edge.operation.doctor.hardware import (
    board,
    board_name,
    cpu_flags,
    memory,
    processor,
    temperature,
)
from vedette_edge.operation.sensors import Reading

MIB = 2**20


@pytest.mark.parametrize(
    ("path", "content", "name"),
    [
        (
            "sys/firmware/devicetree/base/model",
            "Raspberry Pi 5 Model B Rev 1.0\0",
            "Raspberry Pi 5 Model B Rev 1.0",
        ),
        ("sys/class/dmi/id/product_name", "NUC13ANHi5\n", "NUC13ANHi5"),
        ("sys/class/dmi/id/product_name", "\n", ""),
        ("elsewhere", "x", ""),
    ],
)
def test_the_board_is_named_by_device_tree_or_firmware(tmp_path, path, content, name):
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(content)
    assert board_name(tmp_path) == name
    assert board(name).level == "ok"


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
