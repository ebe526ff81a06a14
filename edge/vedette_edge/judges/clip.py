"""Judges clips: a window of frames, again each hop."""

from __future__ import annotations

from vedette_edge.clips import ClipStream, Sampled, clip_tensor
from vedette_edge.judges.base import Verdict
from vedette_edge.judges.pace import Pace
from vedette_edge.manifest import InputSpec
from vedette_edge.probabilities import Scale
from vedette_edge.runtimes.base import Session
from vedette_edge.sampling import Clip
from vedette_edge.types import Frame

__all__ = ["ClipJudge"]


class ClipJudge:
    """Samples clips as training's evaluation does, and has each judged whole."""

    def __init__(
        self, spec: InputSpec, hop: int, scale: Scale, session: Session, pace: Pace | None = None
    ) -> None:
        """Judge a clip each `hop` sampled frames, or those of them that `pace` takes."""
        self._spec = spec
        self._hop = hop
        self._scale = scale
        self._session = session
        self._pace = pace or Pace()
        self._begin()

    def push(self, frame: Frame) -> tuple[list[Verdict], bool]:
        """Take the next frame; see `Judge`.

        Raises:
            RuntimeBackendError: when the runtime fails.
        """
        clips, anew = self._clips.push(frame)
        if anew:
            self._pace.restart()
        return [self._judge(clip) for clip in clips if self._pace.take()], anew

    def finish(self) -> list[Verdict]:
        """End the stream; a stream too short for a clip is judged padded.

        Raises:
            RuntimeBackendError: when the runtime fails.
        """
        clips = self._clips.finish()
        self._begin()
        return [self._judge(clip) for clip in clips]

    def set_hop_factor(self, factor: int) -> None:
        """Judge `factor` times less often; see `Judge`."""
        self._pace.set_factor(factor)

    def _begin(self) -> None:
        self._clips = ClipStream(self._spec, self._hop)

    def _judge(self, clip: Clip[Sampled]) -> Verdict:
        outputs = self._session.run(clip_tensor(clip, self._spec))
        return Verdict(
            clip.start,
            clip.end,
            clip.middle,
            self._scale.probabilities(outputs.logits[0]),
            outputs.heatmap[0],
            [sample.frame for sample in clip.items],
        )
