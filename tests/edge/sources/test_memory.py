from __future__ import annotations

import pytest
from edge_helpers import scene

from vedette_edge.errors import VideoError
from vedette_edge.sources.memory import MemorySource


def test_it_gives_its_frames_then_fails_if_asked_to():
    frames = scene((0.2, True))
    source = MemorySource(frames, lambda _seconds: False, failure=VideoError("unplugged")).frames()
    assert [next(source) for _ in frames] == frames
    with pytest.raises(VideoError, match="unplugged"):
        next(source)


def test_it_ends_when_told_to():
    answers = iter([False, True])
    assert len(list(MemorySource(scene((1, True)), lambda _seconds: next(answers)).frames())) == 1
