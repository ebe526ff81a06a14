"""The device itself: board, processor, memory, temperature."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

from vedette_edge.boards import BoardFacts, Profile
from vedette_edge.config import GovernorConfig
from vedette_edge.operation.doctor.finding import Finding, fail, ok, warn
from vedette_edge.operation.sensors import Reading

__all__ = ["board", "cpu_flags", "memory", "processor", "temperature"]

_MIB = 1024 * 1024
_NEEDED, _COMFORTABLE = 192 * _MIB, 384 * _MIB
# Without these, the runtimes' fast kernels cannot be used.
_FAST = {"x86_64": "avx2", "aarch64": "asimd"}


def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Return the extensions of the instruction set; none where the system does not tell."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    pairs = (line.partition(":") for line in lines)
    return next(
        (frozenset(value.split()) for key, _, value in pairs if key.strip() in ("flags", "Features")),
        frozenset(),
    )


def board(facts: BoardFacts, profile: Profile | None) -> Finding:
    """Name the board, and the profile whose defaults hold on it."""
    if profile is None:
        remedy = "no defaults of a board are used; set its limits in the configuration"
        return warn("board", f"{facts}, which no profile knows", remedy)
    return ok("board", f"{facts}, profile {profile.name}")


def processor(name: str, cores: int, machine: str, flags: Set[str]) -> Finding:
    """Tell whether the processor has what the runtimes' fast kernels need.

    Args:
        name: of the processor.
        cores: that the process may use.
        machine: its architecture, as `platform.machine()` says.
        flags: extensions of its instruction set; empty where unknown.
    """
    text = f"{name}, {cores} core{'s' if cores > 1 else ''}"
    needed = _FAST.get(machine)
    if needed is None:
        return warn("processor", f"{text}, {machine}", "runtimes are published for x86_64 and aarch64 only")
    if flags and needed not in flags:
        return warn("processor", f"{text}, without {needed}", "inference will be slow: prefer int8 variants")
    return ok("processor", text)


def memory(reading: Reading) -> Finding:
    """Tell whether there is memory for an agent."""
    free = reading.free_memory_bytes
    if free is None:
        return warn("memory", "the system does not tell what is free", "the governor cannot heed it")
    text = f"{free / _MIB:.0f} MiB free to this process"
    if free < _NEEDED:
        return fail("memory", text, "end other programs, or raise MemoryMax of the service")
    if free < _COMFORTABLE:
        return warn("memory", text, "an agent with one camera takes about that much: prefer small models")
    return ok("memory", text)


def temperature(reading: Reading, governor: GovernorConfig) -> Finding:
    """Tell whether the device is cool, and whether the governor could know."""
    celsius = reading.temperature_c
    if celsius is None:
        return warn("temperature", "no sensor tells it", "the governor cannot heed it; see to good cooling")
    text = f"{celsius:.0f} degrees Celsius"
    if celsius >= governor.hot_celsius:
        return fail("temperature", f"{text}: too hot, all cameras would pause", "cool the device")
    if celsius >= governor.warm_celsius:
        return warn("temperature", f"{text}: warm, less would be done", "cool the device")
    return ok("temperature", text)
