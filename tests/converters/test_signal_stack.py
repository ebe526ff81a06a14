from __future__ import annotations

import multiprocessing
import os
import signal
import sys

import numpy as np
import openvino as ov
from openvino import opset13 as opset

from vedette_converters.signal_stack import keep_signal_stack


def _compiled():
    taken = opset.parameter([1, 4], np.float32)
    return ov.Core().compile_model(ov.Model([opset.relu(taken)], [taken]), "CPU")


def _take_a_signal_after_plugins_that_overlap():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    with keep_signal_stack():
        models = [_compiled(), _compiled()]
        while models:
            models.pop(0)
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_is_handled_after_plugins_that_exchanged_the_stack():
    process = multiprocessing.get_context("spawn").Process(target=_take_a_signal_after_plugins_that_overlap)
    process.start()
    process.join(60)
    assert process.exitcode == 7
