"""Training in several processes: who is who, and what Lightning must know of it.

Two ways lead here. `torchrun --nproc-per-node N -m vedette_train fit ...` starts the processes, on one or
several machines, and says so in the environment. `fit --devices N` lets Lightning start them.
Only the first process prints and writes; the others help it to train and end with the loop.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import vedette_train.torchvision_compat  # noqa: F401 - before torchvision is imported

import torch.distributed
from lightning.fabric.utilities.rank_zero import rank_zero_only

from vedette_edge.errors import UsageError
from vedette_train.console import console

__all__ = ["end_helpers", "is_first", "process_layout", "silence_helpers"]


def is_first() -> bool:
    """Tell whether this process is the one that prints and writes."""
    return int(getattr(rank_zero_only, "rank", 0) or 0) == 0


def silence_helpers() -> None:
    """Let only the first process print."""
    console.quiet = not is_first()


def process_layout(devices: int) -> dict[str, Any]:
    """Return the arguments of `Trainer` that say how many processes train.

    Args:
        devices: processes on this machine, where torchrun did not start them.

    Raises:
        UsageError: when torchrun started another number of processes than `devices`.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        local, world = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
        if devices not in (1, local):
            raise UsageError(f"torchrun started {local} processes here; leave --devices {devices} out")
        return {"devices": local, "num_nodes": world // local, "strategy": "ddp" if world > 1 else "auto"}
    return {"devices": devices, "strategy": "ddp" if devices > 1 else "auto"}


def end_helpers() -> None:
    """End every process but the first, once they have trained together."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    if not is_first():
        sys.exit(0)
