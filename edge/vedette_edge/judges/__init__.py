"""How frames are judged: clip by clip, as a stream, or picture by picture."""

from __future__ import annotations

from vedette_edge.judges.base import Judge, Verdict
from vedette_edge.judges.clip import ClipJudge

__all__ = ["ClipJudge", "Judge", "Verdict"]
