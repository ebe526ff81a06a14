"""Judges clips: a window of frames, again each hop."""

from __future__ import annotations

from vedette_edge.clips import ClipStream, Sampled, clip_tensor
from vedette_edge.judges.base import Verdict
from vedette_edge.manifest import InputSpec
from vedette_edge.probabilities import Scale
from vedette_edge.runtimes.base import Session
from vedette_edge.sampling import Clip
from vedette_edge.types import Frame

__all__ = ["ClipJudge"]


class ClipJudge:
    """Samples clips as training's evaluation does, and has each judged whole."""

    def __init__(self, spec: InputSpec, hop: int, scale: Scale, session: Session) -> None:
        """Judge a clip each `hop` sampled frames."""
        self._spec = spec
        self._hop = hop
        self._scale = scale
        self._session = session
        self._clips = ClipStream(spec, hop)

    def push(self, frame: Frame) -> tuple[list[Verdict], bool]:
        """Take the next frame; see `Judge`.

        Raises:
            RuntimeBackendError: when the runtime fails.
        """
        clips, anew = self._clips.push(frame)
        return [self._judge(clip) for clip in clips], anew

    def finish(self) -> list[Verdict]:
        """End the stream; a stream too short for a clip is judged padded.

        Raises:
            RuntimeBackendError: when the runtime fails.
        """
        verdicts = [self._judge(clip) for clip in self._clips.finish()]
        self._clips = ClipStream(self._spec, self._hop)
        return verdicts

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
