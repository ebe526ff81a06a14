"""The setting holds in a process of its own, so that no other test trains with it by accident."""

import subprocess
import sys

import pytest

ON_GLIBC = """
import platform
from vedette_train.memory import keep_freed_memory
assert keep_freed_memory() is (platform.libc_ver()[0] == "glibc")
"""
# Each is what `ctypes.CDLL(None)` meets on a platform without glibc.
ELSEWHERE = """
import ctypes
def other_c_library(_):
    {meets}
ctypes.CDLL = other_c_library
from vedette_train.memory import keep_freed_memory
assert keep_freed_memory() is False
"""


@pytest.mark.parametrize(
    "code",
    [
        ON_GLIBC,
        ELSEWHERE.format(meets="raise OSError"),
        ELSEWHERE.format(meets="raise TypeError"),
        ELSEWHERE.format(meets="return object()"),
    ],
    ids=["here", "no library", "windows", "no mallopt"],
)
def test_memory_is_kept_where_the_c_library_is_glibc(code):
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
