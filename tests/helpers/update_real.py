"""The device of `update_twin` on a real disk; as a program it takes release after release until killed."""

from __future__ import annotations

import sys
from pathlib import Path

from update_twin import Device, sample

from vedette_edge.ota.disk import OsDisk
from vedette_edge.ota.record import Record

RELEASES = 300


class RealDisk(OsDisk):
    """With what a test does besides."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def append(self, path: Path, data: bytes) -> None:
        with path.open("ab") as file:
            file.write(data)

    def make_directories(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)

    def everything(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}


def real_device(root: Path) -> Device:
    """Return a device that knows what the repository will ever have: every third release is bad."""
    device = Device(RealDisk(root), root)
    for number in range(1, RELEASES + 1):
        conduct = {"trial": "slow"} if number % 3 == 0 else {}
        device.offer(sample(number, **conduct))
    device.offered = None
    return device


def next_release(record: Record) -> int:
    if record.candidate is not None:
        return record.candidate.release
    return max([record.floor, *(one.release for one in record.refused)]) + 1


def main(root: Path) -> None:
    device = real_device(root)
    while (number := next_release(device.store.record())) <= RELEASES:
        device.offered = next(one for one in device.samples.values() if one.release.release == number)
        device.visit()
        device.run_agent()
        print(number, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
