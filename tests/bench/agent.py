"""The whole agent, decode to outbox, against bare decoding plus bare inference of the same clips."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from paired import compare

from vedette_converters.graph import clip_graph
from vedette_converters.targets.onnx import to_onnx
from vedette_edge.decision import Rule
from vedette_edge.events import EventWriter, PictureStyle
from vedette_edge.judges import ClipJudge
from vedette_edge.manifest import Decision, OutputSpec
from vedette_edge.probabilities import Scale
from vedette_edge.publish.outbox import Outbox
from vedette_edge.runtimes.onnx import OnnxSession
from vedette_edge.sampling import sample_clips
from vedette_edge.topics import Topics
from vedette_edge.video import read_frames
from vedette_edge.watcher import Watcher
from vedette_train.data.synthetic import write_timeline_video
from vedette_train.models import create_model

from inference import SPEC  # isort: skip

LABELS = ("idle", "squat")
DECISION = Decision(
    on_threshold=0.6, off_threshold=0.4, min_duration=0.5, cooldown=1.0, smoothing=2, hop=4, temperature=1.0
)


def run() -> Iterator[str]:
    """Yield one line a comparison."""
    network = create_model("mobilenet_v2_3d", num_classes=2).eval()
    session = OnnxSession(to_onnx(clip_graph(network, SPEC)).contents[0])  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "video.mp4"
        write_timeline_video(video, seconds=20.0, seed=1)
        yield str(
            compare(
                "20 s of 320x240 video: bare decode + inference against the agent",
                lambda: _bare(video, session),
                lambda: _agent(video, session, Path(folder) / "outbox.db"),
                pairs=5,
            )
        )


def _bare(video: Path, session: OnnxSession) -> None:
    clip = np.zeros((1, 3, SPEC.frames, SPEC.height, SPEC.width), dtype=np.float32)
    stream = ((frame.time, None) for frame in read_frames(video))
    for _ in sample_clips(stream, frames=SPEC.frames, hop=DECISION.hop, fps=SPEC.fps):
        session.run(clip)


def _agent(video: Path, session: OnnxSession, store: Path) -> None:
    numbers = itertools.count(1)
    writer = EventWriter(
        topics=Topics("bench", "node"),
        camera="cam",
        labels=LABELS,
        spec=SPEC,
        outputs=OutputSpec(logits=(2,), heatmap=(2, 1, 4, 4)),
        model_sha256="0" * 64,
        boot="bench",
        next_seq=lambda: next(numbers),
        new_id=lambda: f"{next(numbers)}",
        style=PictureStyle(),
    )
    judge = ClipJudge(SPEC, DECISION.hop, Scale(DECISION.temperature), session)
    watcher = Watcher(judge=judge, rules=[Rule(0, DECISION), Rule(1, DECISION)], events=writer)
    outbox = Outbox(store, gap_topic="bench/gap")
    try:
        for frame in read_frames(video):
            outbox.put(watcher.push(frame))
        outbox.put(watcher.finish())
    finally:
        outbox.close()
