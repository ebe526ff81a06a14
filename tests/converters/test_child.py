"""Calls in a process of its own: one process for all, and whatever happens there is told here."""

import os
import signal
import threading
from pathlib import Path

import pytest

from vedette_converters.child import Child
from vedette_edge.errors import UsageError


@pytest.fixture
def child():
    made = []

    def make(function):
        made.append(Child(function))
        return made[-1]

    yield make
    for one in made:
        one.end()


def test_a_call_returns_what_the_function_returns(child):
    assert child("operator:concat")(b"one ", b"two") == b"one two"


def test_all_calls_share_one_process_until_it_is_ended(child):
    pid = child("os:getpid")
    first = pid()
    assert first == pid() != os.getpid()
    pid.end()
    pid.end()
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
    assert pid() != first


def test_an_error_that_a_user_can_mend_is_raised_here(child, tmp_path):
    with pytest.raises(UsageError, match="a bundle is never overwritten"):
        child("vedette_converters.bundle:refuse_existing")(tmp_path)


def test_another_error_is_one_line_and_the_process_goes_on(child):
    divide = child("operator:truediv")
    with pytest.raises(ChildProcessError, match=r"^ZeroDivisionError: division by zero$"):
        divide(1, 0)
    assert divide(1, 2) == 0.5


@pytest.mark.parametrize(
    ("function", "arguments", "sentence"),
    [
        ("os:_exit", (7,), r"^the process died, code 7: it said nothing$"),
        ("signal:raise_signal", (signal.SIGKILL,), r"^the process died, code -9: "),
        ("nowhere:call", (), r"code 1: ModuleNotFoundError: No module named 'nowhere'$"),
    ],
)
def test_a_process_that_dies_is_told_of_and_another_call_starts_another(child, function, arguments, sentence):
    call = child(function)
    for _ in range(2):
        with pytest.raises(ChildProcessError, match=sentence):
            call(*arguments)


def test_an_interruption_ends_the_process_in_the_midst_of_its_call(child, tmp_path):
    said = tmp_path / "pid"
    call = child("subprocess:call")
    script = f"echo $PPID > {said}.new; mv {said}.new {said}; exec sleep 5"

    def interrupt():
        while not said.is_file():
            threading.Event().wait(0.02)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        call(["sh", "-c", script])
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path(said).read_text()), 0)
