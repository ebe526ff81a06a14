"""How frames are judged: clip by clip, as a stream, or picture by picture."""

from __future__ import annotations

from vedette_edge.judges.base import Judge, Verdict
from vedette_edge.judges.clip import ClipJudge
from vedette_edge.judges.pace import Pace
from vedette_edge.judges.picture import PictureJudge
from vedette_edge.judges.stream import StreamJudge

__all__ = ["ClipJudge", "Judge", "Pace", "PictureJudge", "StreamJudge", "Verdict"]
