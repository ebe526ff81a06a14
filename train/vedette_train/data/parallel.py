"""Calls one function on many items, over processes or over a Ray cluster; results come in order."""

from __future__ import annotations

import logging
import multiprocessing
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import cv2

from vedette_edge.errors import DataError, MissingExtraError

__all__ = ["cores", "each", "each_on_ray", "processes"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_HOST_PORT = re.compile(r"^(ray://)?(?P<host>[^/:]+):(?P<port>\d{1,5})$", re.ASCII)
_PATIENCE = 5.0  # seconds
_BYTES_A_PROCESS = 4_000_000  # of video; a process takes about as long to start as these to decode


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processes(bytes_of_video: int, workers: int | None) -> int:
    """Return how many processes pay for so much video: at most `workers`, by default one a core."""
    return min(workers or cores(), 1 + bytes_of_video // _BYTES_A_PROCESS)


def each(function: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Iterator[Result]:
    """Yield `function(item)` for each item, in order.

    Args:
        function: picklable; what it raises is raised here, and nothing new is begun after that.
        items: picklable.
        workers: processes; with one, everything is done in this one.

    Raises:
        DataError: when a process dies.
    """
    if workers <= 1 or len(items) <= 1:
        yield from map(function, items)
        return
    # Spawned, not forked: OpenCV and PyTorch keep threads that do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(items)), mp_context=context, initializer=_alone)
    try:
        yield from pool.map(function, items)
    except BrokenProcessPool as error:
        raise DataError(
            "a process that prepared data died: memory ran out (go on with fewer --workers; what is finished "
            "is kept), or the calling script lacks  if __name__ == '__main__':"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def each_on_ray(function: Callable[[Item], Result], items: Sequence[Item], address: str) -> Iterator[Result]:
    """Yield `function(item)` for each item, in order, computed by the nodes of a Ray cluster.

    Args:
        function: picklable; the nodes must reach every path that it uses, at the same place.
        items: picklable.
        address: of the cluster, as `ray.init` takes it; "local" starts one on this machine.

    Raises:
        MissingExtraError: when Ray is not installed.
        DataError: when the cluster cannot be reached.
    """
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingExtraError("ray", "ray") from error
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"no Ray cluster answers at {address} ({error}); see  ray status") from error
    try:
        # Ray takes plain functions only.
        task: Any = ray.remote(lambda item: function(item))
        for pending in [task.remote(item) for item in items]:
            try:
                yield ray.get(pending)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from error
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise OSError where nobody listens, which Ray itself tries for minutes."""
    if match := _HOST_PORT.match(address):
        socket.create_connection((match["host"], int(match["port"])), timeout=_PATIENCE).close()


def _alone() -> None:
    """Leave Ctrl-C to the parent, and the other cores to the other processes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
