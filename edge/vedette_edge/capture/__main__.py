"""The capture process. The agent starts it, with descriptors that only it inherits, and tells it its job.

The job comes over the channel, not as arguments: those can be read by every user of the machine.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys

import cv2

from vedette_edge.capture.child import AgentGoneError, serve
from vedette_edge.capture.messages import LONGEST, Job
from vedette_edge.capture.ring import Ring
from vedette_edge.lifetime import die_with_parent

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Serve the agent.

    Args:
        arguments: descriptors of the channel and of the shared memory, and the agent's process id.
    """
    descriptor, memory, parent = map(int, arguments)
    die_with_parent(parent)
    # Ctrl-C and systemd's stop reach every process, but are for the agent, which ends this one in time.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # Cameras run side by side already; threads of one would take the cores from the others.
    cv2.setNumThreads(1)
    with socket.socket(fileno=descriptor) as channel, contextlib.suppress(AgentGoneError):
        data = channel.recv(LONGEST)
        if data:
            job = Job.from_bytes(data)
            ring = Ring(memory, job.slots, write=True)
            os.close(memory)
            serve(job, channel, ring)


if __name__ == "__main__":
    main(sys.argv[1:])
