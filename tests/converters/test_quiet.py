"""Libraries that talk are not heard, and the streams are as they were afterwards."""

import logging
import os
import sys
import warnings

import pytest

from vedette_converters.quiet import quiet


def test_nothing_is_heard_from_python_or_below(capfd):
    with quiet():
        print("from Python")
        print("from Python", file=sys.stderr)
        os.write(1, b"from below")
        os.write(2, b"from below")
        warnings.warn("a warning", stacklevel=1)
        logging.warning("a message")
    assert capfd.readouterr() == ("", "")


def test_all_is_heard_again_after_an_error(capfd):
    with pytest.raises(KeyError), quiet():
        raise KeyError
    print("heard")
    os.write(2, b"heard")
    assert capfd.readouterr() == ("heard\n", "heard")


def test_the_handlers_of_messages_are_as_they_were(monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [])
    with quiet():
        logging.warning("a message")
    assert logging.root.handlers == []
