"""`make bench`: prints each figure as a ratio within this run, median and range over pairs."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
os.chdir(Path(__file__).parent)

import agent  # noqa: E402
import capacity  # noqa: E402
import compression  # noqa: E402
import device  # noqa: E402
import inference  # noqa: E402
import outbox  # noqa: E402
import reading  # noqa: E402
import training_step  # noqa: E402


def main() -> None:
    """Run all benchmarks."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print("each line: subject against reference, median milliseconds, ratio reference / subject (range)\n")
    for module in (inference, compression, agent, outbox, device, capacity, training_step, reading):
        for line in module.run():
            print(line, flush=True)


if __name__ == "__main__":
    main()
