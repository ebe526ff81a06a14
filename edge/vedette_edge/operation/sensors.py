"""How hot the device is, what memory is left, how busy it is: read from the kernel's files.

What a device does not tell is None, and then never a reason for anything. Memory is the least that the
machine and each control group above the process (version 2) leave free: a service ends at its `MemoryMax`,
however much the machine has. The GPU of a Jetson shares the machine's memory; amdgpu tells of its own;
NVIDIA's driver for other machines has no file that does.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

__all__ = ["MemorySensors", "Reading", "Sensors", "SystemSensors"]

_KIB = 1024
# Zones and chips that are hot for reasons of their own; a Jetson's PMIC-Die says 100 at all times.
_IRRELEVANT = ("pmic", "battery", "wifi", "wlan", "nvme", "drivetemp", "charger", "modem")
_PLAUSIBLE = range(-40, 151)  # degrees Celsius; others come from a sensor that is not there


@dataclass(frozen=True, slots=True)
class Reading:
    """What the sensors say at a moment.

    Attributes:
        temperature_c: of the hottest sensor that counts, degrees Celsius.
        free_memory_bytes: what this process may still take.
        load: threads that run or wait, per core, averaged over a minute.
        memory_stall: per cent of the last ten seconds in which nothing could run for lack of memory.
        free_gpu_bytes: of a GPU with memory of its own.
    """

    temperature_c: float | None = None
    free_memory_bytes: int | None = None
    load: float | None = None
    memory_stall: float | None = None
    free_gpu_bytes: int | None = None


class Sensors(Protocol):
    """Says how the device is."""

    def read(self) -> Reading:
        """Return what the sensors say now. Never raises."""
        ...


class MemorySensors:
    """The in-memory twin: says what it was told last."""

    def __init__(self, reading: Reading | None = None) -> None:
        """Say `reading`."""
        self.reading = reading or Reading()

    def read(self) -> Reading:
        """Return the reading."""
        return self.reading


class SystemSensors:
    """Linux."""

    def __init__(self, root: Path = Path("/"), cores: int | None = None) -> None:
        """Read below `root`; `cores` are those of the machine, by default as many as it has."""
        self._sys = root / "sys"
        self._proc = root / "proc"
        self._cores = cores or os.cpu_count() or 1

    def read(self) -> Reading:
        """Return what the sensors say now."""
        temperatures = [*self._zones(), *self._chips()]
        memory = [*self._meminfo(), *self._groups()]
        load = _number(_text(self._proc / "loadavg").partition(" ")[0])
        return Reading(
            temperature_c=max(temperatures, default=None),
            free_memory_bytes=min(memory, default=None),
            load=None if load is None else load / self._cores,
            memory_stall=_stall(_text(self._proc / "pressure/memory")),
            free_gpu_bytes=min(self._video_memory(), default=None),
        )

    def _zones(self) -> Iterator[float]:
        for zone in self._sys.glob("class/thermal/thermal_zone*"):
            yield from _celsius(_text(zone / "type"), zone / "temp")

    def _chips(self) -> Iterator[float]:
        for chip in self._sys.glob("class/hwmon/hwmon*"):
            for sensor in chip.glob("temp*_input"):
                yield from _celsius(_text(chip / "name"), sensor)

    def _meminfo(self) -> Iterator[int]:
        for line in _text(self._proc / "meminfo").splitlines():
            name, _, value = line.partition(":")
            kib = _number(value.removesuffix("kB"))
            if name == "MemAvailable" and kib is not None:
                yield int(kib) * _KIB

    def _groups(self) -> Iterator[int]:
        """Yield what each control group above this process leaves free."""
        lines = _text(self._proc / "self/cgroup").splitlines()
        path = next((line[3:] for line in lines if line.startswith("0::")), "")
        own = self._sys / "fs/cgroup" / path.lstrip("/")
        for group in (own, *own.parents[: len(Path(path).parents)]):
            limit, used = _number(_text(group / "memory.max")), _number(_text(group / "memory.current"))
            if limit is not None and used is not None:
                yield max(0, int(limit - used) + _reclaimable(_text(group / "memory.stat")))

    def _video_memory(self) -> Iterator[int]:
        for total in self._sys.glob("class/drm/card*/device/mem_info_vram_total"):
            size, used = _number(_text(total)), _number(_text(total.with_name("mem_info_vram_used")))
            if size is not None and used is not None:
                yield int(size - used)


def _text(file: Path) -> str:
    # A sensor may be there and refuse: a sleeping GPU gives EAGAIN, a sandbox EACCES.
    try:
        return file.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:  # "max" too: no limit
        return None
    return value if math.isfinite(value) else None


def _celsius(name: str, file: Path) -> Iterator[float]:
    milli = _number(_text(file))
    if milli is None or any(word in name.lower() for word in _IRRELEVANT):
        return
    if _PLAUSIBLE.start <= milli / 1000 < _PLAUSIBLE.stop:
        yield milli / 1000


def _reclaimable(stat: str) -> int:
    """Return the bytes of a group that the kernel gives up without harm: files' pages out of use."""
    pairs = (line.partition(" ") for line in stat.splitlines())
    return next((int(_number(value) or 0) for name, _, value in pairs if name == "inactive_file"), 0)


def _stall(pressure: str) -> float | None:
    """Return `avg10` of the line `full` of a file of pressure stall information."""
    for line in pressure.splitlines():
        if line.startswith("full "):
            fields = dict(part.partition("=")[::2] for part in line.split()[1:])
            return _number(fields.get("avg10", ""))
    return None
