"""What a cost was measured on: processor, cores, versions of the runtimes; and the memory of this process."""

from __future__ import annotations

import hashlib
import os
import platform
import resource
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Machine", "cores", "cpu_name", "peak_resident_bytes", "this_machine"]

_DISTRIBUTIONS = (
    "vedette",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-openvino",
    "openvino",
    "ai-edge-litert",
    "tflite-runtime",
)
_KIB = 1024


class Machine(BaseModel):
    """Where and how a cost was measured; a cost holds for an equal machine only."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    cpu: str = Field(description="The processor's model, or the board's.")
    cores: int = Field(ge=1, description="Cores that the process may use.")
    threads: int = Field(ge=0, description="Threads of one call; 0: the runtime's choice.")
    versions: dict[str, str] = Field(description="Of Vedette and of the runtimes that are installed.")

    @property
    def fingerprint(self) -> str:
        """Return a SHA-256 that is that of equal machines alone."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def __str__(self) -> str:
        """Return the processor and its cores."""
        return f"{self.cpu}, {self.cores} core{'s' if self.cores > 1 else ''}"


def this_machine(threads: int = 0) -> Machine:
    """Return what this machine is, for calls with so many threads; 0 leaves the choice to the runtime."""
    return Machine(cpu=cpu_name(), cores=cores(), threads=threads, versions=_versions())


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def peak_resident_bytes(status: Path = Path("/proc/self/status")) -> int:
    """Return the most memory that was resident in this process.

    Linux hands `ru_maxrss` on to the programs that a process starts, so a small child of a large parent would
    seem large; the high-water mark in /proc begins anew.
    """
    found = _field(status, "VmHWM")
    if found:
        return int(found.split()[0]) * _KIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB


def cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's model, the board's, or the architecture."""
    # On ARM the processor has no name there, but the board has.
    return _field(cpuinfo, "model name") or _field(cpuinfo, "Model") or platform.machine()


def _field(path: Path, name: str) -> str:
    """Return the value of the first line `name: value`, or nothing."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    pairs = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in pairs if key.strip() == name), "")


def _versions() -> dict[str, str]:
    found = {}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
