import time

import numpy as np

from vedette_converters.measure import measure


class Sleeper:
    """A session whose runs last as long as they are told, in milliseconds."""

    def __init__(self, *durations):
        self._durations = list(durations)

    def run(self, _):
        time.sleep(self._durations.pop(0) / 1000)


def test_the_warm_up_is_not_counted():
    session = Sleeper(60, 60, 60, *[4] * 18, 20, 20)
    found = measure(session, np.zeros((1, 3, 1, 8, 8), np.float32))
    assert 4 <= found.p50_ms < 20
    assert found.p50_ms < found.p95_ms < 60
    assert not session._durations


def test_the_machine_is_named_without_its_name():
    found = measure(Sleeper(*[0] * 5), np.zeros((1, 3, 1, 8, 8), np.float32), runs=2)
    assert found.machine.endswith(f"{found.threads} cores")
    assert found.peak_rss_bytes > 10_000_000
