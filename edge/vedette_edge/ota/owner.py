"""Lets root do by hand what the service does: as the user to whom the model store belongs."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

__all__ = ["become_owner"]


def become_owner(store: Path) -> None:
    """Give up root for the user to whom a directory belongs, for good.

    What root would write there, the service could not replace. Nothing happens where this is not root, where
    there is no such directory, or where it belongs to root.
    """
    try:
        owner = store.stat()
    except OSError:
        return
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    try:
        os.initgroups(pwd.getpwuid(owner.st_uid).pw_name, owner.st_gid)
    except KeyError:  # a user without a name has no other groups
        os.setgroups([])
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)
