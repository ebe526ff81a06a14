"""Which of a camera's frames are worth a verdict: motion opens the gate, stillness closes it."""

from __future__ import annotations

from vedette_edge.gate.gate import MotionGate
from vedette_edge.gate.motion import MotionDetector
from vedette_edge.gate.preroll import Preroll

__all__ = ["MotionDetector", "MotionGate", "Preroll"]
