"""The device's packages must install without a compiler on every board."""

import subprocess
import sys
from pathlib import Path

import pytest
import tomllib

ROOT = Path(__file__).parents[2]
TAGS = {"x86-64": "x86_64", "arm64": "aarch64"}
# The tags of glibc 2.28 and older, which Debian 11, Ubuntu 20.04 and JetPack 5 have.
GLIBC = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")


def base_dependencies():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]


@pytest.mark.slow
@pytest.mark.parametrize("machine", TAGS)
def test_every_base_dependency_has_wheels_for(machine, tmp_path):
    platforms = [f"--platform={glibc}_{TAGS[machine]}" for glibc in GLIBC]
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--only-binary=:all:",
        "--dest",
        str(tmp_path),
    ]
    command += ["--python-version=3.11", "--constraint", str(ROOT / "constraints.txt"), *platforms]
    result = subprocess.run([*command, *base_dependencies()], capture_output=True, text=True, check=False)
    if "Failed to establish a new connection" in result.stderr or "Temporary failure" in result.stderr:
        pytest.skip("no package index can be reached")
    assert result.returncode == 0, result.stderr[-2000:]
    assert all(path.suffix == ".whl" for path in tmp_path.iterdir())
