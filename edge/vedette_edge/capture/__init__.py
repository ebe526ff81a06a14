"""Decodes each camera in a process of its own, which can be killed, and hands its frames over shared memory.

    agent                                       capture process (python -m vedette_edge.capture)
    Supervisor.frames() <- CaptureProcess  <--  Filled(slot, ...) | Alive | Note | Ended
                                           -->  slot numbers, given back
                       shared memory, mapped by both: `Ring`

A decoder that hangs, crashes or leaks takes its own process down and no other camera: it is killed and
started anew. A slot belongs to one side at a time and ownership goes by message, so no frame is ever torn.
"""

from __future__ import annotations

from vedette_edge.capture.supervisor import OnStatus, Status, Supervisor, open_capture

__all__ = ["OnStatus", "Status", "Supervisor", "open_capture"]
