"""One function on many items: in order, what it raises is raised, and a dead process is one sentence."""

import os
import signal
import subprocess
import sys

import pytest

from vedette_edge.errors import DataError, VideoError
from vedette_train.data.parallel import cores, each, each_on_ray


def double(number):
    return 2 * number, os.getpid()


def fail_at_three(number):
    if number == 3:
        raise VideoError("the third one")
    return number


def die_at_three(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_there_is_a_core():
    assert 1 <= cores() <= os.cpu_count()


@pytest.mark.parametrize(("count", "workers"), [(5, 1), (1, 4), (0, 4)])
def test_one_process_is_enough_for_little(count, workers):
    assert list(each(double, range(count), workers)) == [(2 * n, os.getpid()) for n in range(count)]


def test_results_come_in_order_from_other_processes():
    found = list(each(double, list(range(20)), 2))
    assert [number for number, _ in found] == [2 * n for n in range(20)]
    assert os.getpid() not in {process for _, process in found}


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_call_raises_is_raised(workers):
    results = each(fail_at_three, list(range(100)), workers)
    with pytest.raises(VideoError, match="the third one"):
        list(results)


def test_a_process_that_dies_is_one_sentence():
    with pytest.raises(DataError, match=r"a process that prepared data died: .*fewer --workers"):
        list(each(die_at_three, list(range(5)), 2))


WITHOUT_RAY = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name == "ray":
            raise ModuleNotFoundError("No module named 'ray'", name="ray")
sys.meta_path.insert(0, Blocked())
from vedette_edge.errors import MissingExtraError
from vedette_train.data.parallel import each_on_ray
try:
    list(each_on_ray(str, [1], "local"))
except MissingExtraError as error:
    sys.exit(str(error))
"""


def test_without_ray_the_extra_is_named():
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_RAY], capture_output=True, text=True, check=False, env=environment
    )
    assert "pip install 'vedette[ray]'" in done.stderr


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_a_cluster_that_does_not_answer_is_named(address):
    pytest.importorskip("ray")
    with pytest.raises(DataError, match=rf"no Ray cluster answers at {address}"):
        list(each_on_ray(double, [1], address))
