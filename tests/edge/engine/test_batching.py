from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from edge_helpers import wait_until

from vedette_edge.engine.batching import Batcher, gains
from vedette_edge.errors import RuntimeBackendError
from vedette_edge.types import Outputs


def clip(value):
    return np.full((1, 3, 2, 4, 4), value, np.float32)


class Slow:
    """Gives each clip's mean; the first call waits until it is released."""

    def __init__(self, fails=False):
        self.sizes, self.release, self.fails = [], threading.Event(), fails

    def run(self, clips):
        self.sizes.append(len(clips))
        if len(self.sizes) == 1:
            self.release.wait(10)
        elif self.fails:
            raise RuntimeBackendError("no more")
        means = clips.mean(axis=(1, 2, 3, 4)).reshape(-1, 1)
        return Outputs(means, means[:, :, None, None, None])


def while_the_first_is_judged(slow, batcher, others):
    """Have `others` clips come while one is under way; return all futures."""
    pool = ThreadPoolExecutor(others + 1)
    futures = [pool.submit(batcher.run, clip(0))]
    wait_until(lambda: slow.sizes == [1])
    futures += [pool.submit(batcher.run, clip(value)) for value in range(1, others + 1)]
    wait_until(lambda: len(batcher._waiting) == others)
    slow.release.set()
    pool.shutdown()
    return futures


@pytest.mark.parametrize(("others", "sizes"), [(0, [1]), (1, [1, 1]), (3, [1, 3]), (7, [1, 4, 3])])
def test_what_comes_during_a_call_is_judged_together_after_it(others, sizes):
    slow = Slow()
    futures = while_the_first_is_judged(slow, Batcher(slow.run, most=4), others)
    for value, future in enumerate(futures):
        outputs = future.result()
        assert outputs.logits.tolist() == [[value]]
        assert outputs.heatmap.ravel().tolist() == [value]
    assert slow.sizes == sizes


def test_a_clip_that_comes_alone_is_judged_alone_at_once():
    slow = Slow()
    slow.release.set()
    batcher = Batcher(slow.run, most=4)
    assert [float(batcher.run(clip(value)).logits[0, 0]) for value in range(3)] == [0, 1, 2]
    assert slow.sizes == [1, 1, 1]


def test_a_failure_is_told_to_all_whom_it_concerns_and_to_no_one_else():
    slow = Slow(fails=True)
    first, *others = while_the_first_is_judged(slow, Batcher(slow.run, most=4), 3)
    assert first.result().logits.tolist() == [[0]]
    for future in others:
        with pytest.raises(RuntimeBackendError, match="no more"):
            future.result()


@pytest.mark.parametrize(("extra", "wanted"), [(0.0, True), (0.49, True), (0.51, False), (1.0, False)])
def test_a_batch_gains_where_it_is_no_later_than_turns_are_in_the_mean(extra, wanted):
    clock = 0.0

    class Session:
        def run(self, clips):
            nonlocal clock
            # Of three clips, turns are over after two calls in the mean.
            clock += 1.0 + extra * (len(clips) - 1)

    assert gains(Session(), clip(0), 3, clock=lambda: clock) == wanted
