"""Videos and pictures of events, kept on this device.

`ClipRecorder` is a recorder of the pipeline. Its `ClipPlanner`, which is pure, says which frames belong to
which clip; its `ClipWriter`, in a thread of its own, redacts, encodes and writes them by `webm`.
`PictureArchive` keeps the pictures, and `Retention` lets the oldest of both go. `Keeper` makes them all, as
the configuration says.
"""

from __future__ import annotations

from vedette_edge.recording.keeper import Keeper

__all__ = ["Keeper"]
