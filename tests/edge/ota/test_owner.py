from __future__ import annotations

import os
import subprocess
import sys

import pytest

from vedette_edge.ota.owner import become_owner

NOBODY = 65534
SCRIPT = """
import os, sys
from pathlib import Path
from vedette_edge.ota.owner import become_owner
become_owner(Path(sys.argv[1]))
print(os.getuid(), os.geteuid(), os.getgid(), 0 in os.getgroups())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to become somebody else")
def test_root_becomes_the_user_to_whom_the_store_belongs(tmp_path):
    os.chown(tmp_path, NOBODY, NOBODY)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(NOBODY), str(NOBODY), str(NOBODY), "False"]


def test_whose_store_is_its_own_or_not_there_stays_who_it_is(tmp_path):
    before = os.geteuid()
    become_owner(tmp_path)
    become_owner(tmp_path / "nowhere")
    assert os.geteuid() == before
