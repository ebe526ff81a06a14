"""Runs a candidate beside the model that alarms, on the same frames, without a word to anybody.

It must not slow the alarms: its thread, in which it is also loaded, has the lowest priority, and so have the
threads of its runtime; frames wait in a short queue, and one that finds it full is dropped. A camera of which
one was dropped begins anew for the candidate, so that only whole stretches are compared. Whatever goes wrong
ends the shadow, and nothing else; what takes the process along was counted before (see `following`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vedette_edge.engine import Model
from vedette_edge.errors import VedetteError
from vedette_edge.judges import Judge, Verdict
from vedette_edge.manifest import Decision, Manifest
from vedette_edge.ota.comparing import Comparison, Said, said
from vedette_edge.ota.evidence import ShadowFigures
from vedette_edge.ota.witness import Witness, patience_of
from vedette_edge.types import Frame

__all__ = ["Shadow"]

_log = logging.getLogger(__name__)

_WAITING = 16  # frames, of all cameras
_LOWEST = 19  # niceness


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a camera saw, and what the model that alarms said of it.

    Attributes:
        camera: its name.
        frame: None: the stream ended.
        told: of the model that alarms.
        anew: frames before this one were dropped.
    """

    camera: str
    frame: Frame | None
    told: Sequence[Said]
    anew: bool


@dataclass(slots=True)
class _Beside:
    """The candidate on one camera."""

    judge: Judge
    comparison: Comparison


class Shadow:
    """One candidate in its shadow run, in a thread of its own.

    Attributes:
        held: whether it rests: the device must be spared.
        dropped: frames that it was shown while it was behind, or rested.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[], Model],
        decision: Callable[[str, Decision], Decision],
        on_end: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to load the candidate.

        Args:
            name: of the model, for the log.
            load: loads the candidate; called in the shadow's thread.
            decision: gives a camera's decision, from its name and the manifest's.
            on_end: called in that thread, when nothing is judged any more.
            clock: seconds; only rises.
        """
        self._name = name
        self._load = load
        self._decision = decision
        self._on_end = on_end
        self._clock = clock
        self._queue: queue.SimpleQueue[_Shown | None] = queue.SimpleQueue()
        self._cameras: dict[str, _Beside] = {}
        self._broken: set[str] = set()
        self._model: Model | None = None
        self._witness: Witness | None = None
        self._failed = ""
        self._closing = False
        self.held = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name=f"shadow-{name}", daemon=True)
        self._thread.start()

    @property
    def failed(self) -> str:
        """Why the candidate must not stay; "" as long as nothing is known against it."""
        if self._failed or self._model is None or self._witness is None:
            return self._failed
        return self._model.failure or self._model.stuck(self._clock()) or self._witness.trouble

    @property
    def seconds(self) -> float:
        """For how long it has judged."""
        return self._witness.seconds if self._witness else 0.0

    @property
    def verdicts(self) -> int:
        """How many verdicts it gave."""
        return self._witness.verdicts if self._witness else 0

    @property
    def figures(self) -> ShadowFigures:
        """How it compares."""
        every = [one.comparison for one in list(self._cameras.values())]
        compared = sum(one.compared for one in every)
        return ShadowFigures(
            compared=compared,
            agreed=min(compared, sum(one.agreed for one in every)),
            score_difference=round(sum(one.difference for one in every) / compared, 6) if compared else 0.0,
            p95_ms=round(self._model.session.durations.percentiles().p95, 3) if self._model else 0.0,
        )

    def show(self, camera: str, frame: Frame | None, verdicts: Sequence[Verdict], manifest: Manifest) -> None:
        """Show what a camera saw; returns at once, from any thread.

        Args:
            camera: its name.
            frame: the frame; None: the stream ended.
            verdicts: of the model that alarms.
            manifest: of that model.
        """
        if self._model is None or self._closing:
            return
        told = [said(verdict, manifest) for verdict in verdicts]
        if self.held or self._queue.qsize() >= _WAITING:
            self.dropped += 1
            self._broken.add(camera)
            return
        # Several cameras may see the last place at once: the bound is that of the queue and a frame of each.
        self._queue.put(_Shown(camera, frame, told, camera in self._broken))
        self._broken.discard(camera)

    def close(self, patience: float = 2.0) -> None:
        """End, and wait for what is in hand, at most so many seconds."""
        self._closing = True
        self._queue.put(None)
        self._thread.join(patience)

    def _run(self) -> None:
        # A system that does not let it: then it is only the queue that protects the alarms.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST)
        try:
            model = self._load()
            clip = model.manifest.input.frames / model.manifest.input.fps
            self._witness = Witness(patience_of(model.every, clip), self._clock)
            self._model = model
            _log.info("update of model '%s': the candidate judges beside it, without alarms", self._name)
            while not self._closing and (shown := self._queue.get()) is not None:
                self._take(model, self._witness, shown)
        except Exception as error:
            # Only the shadow ends; the supervisor sees why.
            self._failed = str(error) if isinstance(error, VedetteError) else repr(error)
        finally:
            self._on_end()

    def _take(self, model: Model, witness: Witness, shown: _Shown) -> None:
        beside = self._beside(model, shown.camera)
        if shown.anew:
            beside.judge = self._judge(model, shown.camera)
            beside.comparison.restart()
        if shown.frame is None:
            verdicts, anew = beside.judge.finish(), True
        else:
            verdicts, anew = beside.judge.push(shown.frame)
            if anew:
                beside.comparison.restart()
            witness.saw(verdicts)
        beside.comparison.old(shown.told)
        beside.comparison.new([said(verdict, model.manifest) for verdict in verdicts])
        if shown.frame is None:
            beside.comparison.restart()

    def _beside(self, model: Model, camera: str) -> _Beside:
        if camera not in self._cameras:
            self._cameras[camera] = _Beside(self._judge(model, camera), Comparison())
        return self._cameras[camera]

    def _judge(self, model: Model, camera: str) -> Judge:
        return model.judge(self._decision(camera, model.manifest.decision))
