"""`make demo-ota`: every part of updates from afar, as a user would start it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WHOLE = os.environ.get("VEDETTE_DEMO") == "whole"


@pytest.mark.skipif(
    "VEDETTE_DEMO" not in os.environ, reason="make demo-ota shows it; VEDETTE_DEMO=quick tests it"
)
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demo_of_updates_goes_as_promised_and_leaves_nothing_running(tmp_path):
    out = tmp_path / "out"
    words = [sys.executable, "scripts/demo_ota.py", "--out", out, *([] if WHOLE else ["--quick"])]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=890, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    summary = json.loads((out / "summary.json").read_text())
    assert summary["broken"] == []
    assert all(device["lost"] == 0 for device in summary["devices"].values())
    what = {(row["step"], row["device"]): row["what"] for row in summary["steps"]}
    assert what["good update", "device-1"].startswith("release 2 committed")
    assert what["other outputs", "device-1"] == "release 3 refused"
    assert what["forged metadata", "device-1"] == "refused, nothing changed"
    assert (out / "timeline.png").stat().st_size > 0
    left = [line for line in _commands() if str(out) in line]
    assert not left, left


def _commands():
    """Yield the command line of each process that there is."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
