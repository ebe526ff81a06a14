from __future__ import annotations

import itertools
import threading
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from edge_helpers import opened, scene, wait_until

from vedette_edge.camera import Camera
from vedette_edge.decision import Rule
from vedette_edge.engine import SharedSession
from vedette_edge.errors import RuntimeBackendError, VideoError
from vedette_edge.events import EventWriter, PictureStyle
from vedette_edge.judges import ClipJudge
from vedette_edge.preprocess import fit, to_tensor
from vedette_edge.probabilities import Scale, softmax
from vedette_edge.publish.memory import MemorySink
from vedette_edge.sampling import sample_clips
from vedette_edge.schedule import Period, Schedule
from vedette_edge.sources.memory import MemorySource
from vedette_edge.topics import Topics, parse_event
from vedette_edge.types import Frame
from vedette_edge.watcher import Watcher
from vedette_edge.zones import Zones

NOW = 1_700_000_000.0


@pytest.fixture
def make_watcher(shared_bundle):
    bundle, _, session = opened(shared_bundle)

    def make(
        session=session,
        now=lambda: NOW,
        live=False,
        on_verdict=None,
        zones=None,
        begins_in=None,
        schedule=None,
        **decision,
    ):
        manifest = bundle.manifest
        events = EventWriter(
            topics=Topics("hall", "n1"),
            camera="door",
            labels=[label.name for label in manifest.labels],
            spec=manifest.input,
            outputs=manifest.outputs,
            model_sha256=bundle.digest,
            boot="boot",
            next_seq=itertools.count(1).__next__,
            new_id=(f"ID{number}" for number in itertools.count(1)).__next__,
            style=PictureStyle(),
        )
        rules = manifest.decision.model_copy(update=decision)
        return Watcher(
            judge=ClipJudge(manifest.input, rules.hop, Scale(rules.temperature), session),
            rules=[Rule(1, rules, zones=begins_in, schedule=schedule)],
            zones=Zones(zones or {}, manifest.input, manifest.outputs),
            events=events,
            live=live,
            now=now,
            on_verdict=on_verdict,
        )

    return make


def run(watcher, frames):
    messages = [message for frame in frames for message in watcher.push(frame)]
    return messages + watcher.finish()


def events_of(messages):
    return [parse_event(message.payload) for message in messages if message.topic.endswith("/events")]


def shifted(frames, seconds):
    return [Frame(frame.image, frame.time + seconds) for frame in frames]


FLASH = scene((2, False), (3, True), (2, False))


def test_a_flash_is_one_event_where_and_when_it_was(make_watcher):
    events = events_of(run(make_watcher(), FLASH))
    assert [event.type for event in events] == ["new", "update", "end"]
    assert {event.id for event in events} == {"ID1"}
    new, _, end = events
    assert 1.5 < new.start_position < 2.5
    assert 4.5 < end.end_position < 5.5
    assert end.end_time - end.start_time == pytest.approx(end.end_position - end.start_position, abs=1e-2)
    assert new.start_time == pytest.approx(NOW + new.start_position, abs=0.01)
    assert new.hottest[0] > 0.5
    assert new.hottest[1] > 0.5
    assert new.area.x >= 0.4


def test_darkness_is_no_event(make_watcher):
    assert run(make_watcher(), scene((3, False))) == []


def test_the_windows_are_those_of_sample_clips_exactly(make_watcher, shared_bundle):
    windows = []
    run(make_watcher(on_verdict=windows.append), FLASH)
    bundle, _, session = opened(shared_bundle)
    spec, hop = bundle.manifest.input, bundle.manifest.decision.hop
    stream = ((frame.time, fit(frame.image, spec)) for frame in FLASH)
    clips = list(sample_clips(stream, frames=spec.frames, hop=hop, fps=spec.fps))
    assert [(w.start, w.end, w.middle) for w in windows] == [(c.start, c.end, c.middle) for c in clips]
    for window, clip in zip(windows, clips, strict=True):
        expected = softmax(session.run(to_tensor(clip.items, spec)).logits[0], 1.0)
        np.testing.assert_array_equal(window.probabilities, expected)


def test_a_short_stream_is_judged_once(make_watcher):
    watcher = make_watcher()
    assert [event.type for event in events_of(run(watcher, scene((0.2, True))))] == ["new", "end"]
    assert watcher.windows == 1


def test_an_event_that_lasts_to_the_end_is_ended_there(make_watcher):
    events = events_of(run(make_watcher(), scene((1, False), (2, True))))
    assert events[-1].type == "end"
    assert events[-1].end_position == pytest.approx(2.96)


def test_a_gap_ends_the_event_at_the_last_frame_before_it(make_watcher):
    frames = scene((2, True))
    events = events_of(run(make_watcher(), frames + shifted(frames, 10)))
    assert [event.type for event in events] == ["new", "end", "new", "end"]
    assert events[1].end_position == pytest.approx(frames[-1].time)
    assert events[2].start_time == pytest.approx(NOW + events[2].start_position, abs=0.01)


def test_a_stream_that_starts_again_is_dated_anew(make_watcher):
    clock = [NOW]
    watcher = make_watcher(now=lambda: clock[-1])
    frames = scene((2, True))
    before = [message for frame in shifted(frames, 50) for message in watcher.push(frame)]
    clock.append(NOW + 500)
    events = events_of(before + run(watcher, frames))
    assert [event.type for event in events] == ["new", "end", "new", "end"]
    assert events[1].end_time < NOW + 3
    assert events[2].start_time == pytest.approx(NOW + 500 + events[2].start_position, abs=0.01)


@pytest.mark.parametrize("jump", [-86_400.0, 3600.0])
def test_a_clock_that_is_set_dates_a_live_camera_anew_and_a_file_never(make_watcher, jump):
    for live in (True, False):
        frames, clock = scene((1, False), (1, True), (2, False), (1, True), (1, False)), [0.0, 0.0]
        watcher = make_watcher(now=lambda clock=clock: NOW + clock[0] + clock[1], live=live)
        messages = []
        for frame in frames:
            clock[0], clock[1] = frame.time, jump if frame.time >= 3 else 0.0
            messages += watcher.push(frame)
        new = [event for event in events_of(messages + watcher.finish()) if event.type == "new"]
        assert new[0].start_time == pytest.approx(NOW + new[0].start_position, abs=0.1)
        expected = NOW + new[1].start_position + (jump if live else 0.0)
        assert new[1].start_time == pytest.approx(expected, abs=0.1)


def test_an_empty_stream_says_nothing(make_watcher):
    assert make_watcher().finish() == []


def test_captured_travels_to_the_messages(make_watcher):
    watcher = make_watcher()
    messages = [m for number, frame in enumerate(FLASH) for m in watcher.push(frame, captured=float(number))]
    assert messages
    assert all(message.captured is not None for message in messages)


class Statuses(list):
    def __call__(self, name, status, reason):
        self.append((name, status, reason))


def make_camera(watcher, frames, *, pressure="wait", failure=None, sink=None):
    statuses = Statuses()
    camera = Camera(
        "door",
        lambda pause: MemorySource(frames, pause, failure),
        watcher,
        sink or MemorySink(),
        pressure=pressure,
        on_status=statuses,
    )
    return camera, statuses


def finish(camera):
    camera.start()
    wait_until(lambda: camera.finished)


def test_a_camera_delivers_what_its_watcher_sees(make_watcher):
    sink = MemorySink()
    camera, statuses = make_camera(make_watcher(), FLASH, sink=sink)
    finish(camera)
    assert [event.type for event in events_of(sink.messages)] == ["new", "update", "end"]
    assert (camera.frames, camera.dropped, camera.events) == (len(FLASH), 0, 3)
    assert statuses == [("door", "offline", "end of stream")]
    assert all(beat.retired for beat in camera.heartbeats)


def test_a_failing_source_still_delivers_what_came_before(make_watcher):
    sink = MemorySink()
    camera, statuses = make_camera(
        make_watcher(), scene((2, True)), failure=VideoError("unplugged"), sink=sink
    )
    finish(camera)
    assert [event.type for event in events_of(sink.messages)] == ["new", "end"]
    assert statuses[-1] == ("door", "offline", "unplugged")
    assert isinstance(camera.error, VideoError)


class Broken:
    def run(self, _clips):
        raise RuntimeBackendError("no more memory")


def test_a_failing_runtime_ends_the_capture_too(make_watcher):
    endless = (Frame(FLASH[0].image, number / 25) for number in itertools.count())
    camera, statuses = make_camera(make_watcher(session=Broken()), endless)
    finish(camera)
    assert isinstance(camera.error, RuntimeBackendError)
    assert statuses[-1] == ("door", "offline", "no more memory")


class Slow:
    """A model that does not answer before it is told to."""

    def __init__(self, session):
        self._session = session
        self.go = threading.Event()

    def run(self, clips):
        assert self.go.wait(10)
        return self._session.run(clips)


def test_a_camera_that_must_stay_live_drops_old_frames_and_counts_them(make_watcher, shared_bundle):
    session = Slow(opened(shared_bundle)[2])
    camera, _ = make_camera(make_watcher(session=session), scene((4, False)), pressure="drop-oldest")
    camera.start()
    wait_until(lambda: camera.frames == 100)
    session.go.set()
    wait_until(lambda: camera.finished)
    assert camera.dropped > 50


def test_stopping_ends_active_events(make_watcher):
    sink = MemorySink()
    endless = (Frame(scene((0.04, True))[0].image, number / 25) for number in itertools.count())
    camera, statuses = make_camera(make_watcher(), endless, sink=sink)
    camera.start()
    wait_until(lambda: sink.messages)
    camera.stop()
    wait_until(lambda: camera.finished)
    events = events_of(sink.messages)
    assert (events[0].type, events[-1].type) == ("new", "end")
    assert statuses[-1] == ("door", "offline", "stopped")


def test_a_waiting_capture_beats(make_watcher):
    class Waiting(MemorySource):
        def frames(self):
            self._pause(1.2)
            return iter(())

    camera = Camera(
        "door",
        lambda pause: Waiting([], pause),
        make_watcher(),
        MemorySink(),
        pressure="wait",
        on_status=lambda *_: None,
    )
    finish(camera)
    assert all(beat.beats >= 3 for beat in camera.heartbeats)


def test_cameras_take_turns_with_a_shared_session(shared_bundle):
    *_, session = opened(shared_bundle)
    inside, most = [], []

    class Watched:
        def run(self, clips):
            inside.append(1)
            most.append(len(inside))
            outputs = session.run(clips)
            inside.pop()
            return outputs

    shared = SharedSession(Watched())
    clip = np.zeros((1, 3, 4, 32, 32), np.float32)
    threads = [threading.Thread(target=lambda: [shared.run(clip) for _ in range(50)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert shared.durations.percentiles().count == 150


def test_an_event_says_in_which_zone_it_is_and_begins_in_no_other(make_watcher):
    corner = ((0.5, 0.5), (1.0, 0.5), (1.0, 1.0), (0.5, 1.0))
    rest = ((0.0, 0.0), (1.0, 0.0), (1.0, 0.5), (0.0, 0.5))
    watcher = make_watcher(zones={"corner": corner, "rest": rest})
    assert {event.zone for event in events_of(run(watcher, FLASH))} == {"corner"}
    only = make_watcher(zones={"corner": corner, "rest": rest}, begins_in=frozenset({"rest"}))
    assert run(only, FLASH) == []


def test_outside_its_schedule_a_camera_is_silent(make_watcher):
    begun = datetime.fromtimestamp(NOW, timezone.utc)
    later = (begun + timedelta(hours=1)).time()
    schedule = Schedule((Period(frozenset(range(7)), begun.time(), later),), timezone.utc)
    assert run(make_watcher(now=lambda: NOW + 3600, schedule=schedule), FLASH) == []
    assert run(make_watcher(now=lambda: NOW + 3599, schedule=schedule), FLASH)


def test_a_threshold_set_while_running_holds(make_watcher):
    watcher = make_watcher()
    watcher.set_threshold(1, 1.0)
    assert run(watcher, FLASH) == []
