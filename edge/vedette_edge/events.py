"""From a change in the decision to what the control room gets: an event, and the picture that shows where.

The picture is the clip's most telling frame, at its full size, with the heatmap laid over it and a banner
that says what, where and when. It is sent before the event, which names it by SHA-256. An `end` has no
picture of its own: it names the last one of its event. Nor has an `update` that comes too soon after one:
drawing costs as much as a fifth of an inference, so it is done only where it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import cv2
import numpy as np

from vedette_edge import heatmap
from vedette_edge.decision import Transition
from vedette_edge.manifest import InputSpec, OutputSpec
from vedette_edge.preprocess import cell_region, seen_region
from vedette_edge.privacy import Clear, Redactor
from vedette_edge.publish.base import Message
from vedette_edge.stills import Still, StillFormat, encode
from vedette_edge.topics import Area, Event, Picture, Topics
from vedette_edge.types import FloatArray, Frame, Image

__all__ = ["EventWriter", "PictureStyle", "View", "draw_banner", "most_telling"]


@dataclass(frozen=True, slots=True)
class PictureStyle:
    """How pictures look.

    Attributes:
        quality: of the encoding, to begin with, 20..100.
        max_bytes: bound on the encoded size; quality and then size fall until it holds.
        alpha: opacity of the heatmap where it is strongest, 0..1.
        format: JPEG, or WebP, which is smaller and takes longer.
    """

    quality: int = 85
    max_bytes: int = 122_880
    alpha: float = 0.55
    format: StillFormat = "jpeg"


@dataclass(frozen=True, slots=True)
class View:
    """What the network saw, and where it looked.

    Attributes:
        frames: the clip's frames as they were captured, oldest first.
        heatmap: (K, T', H', W') float32, one clip of `Outputs.heatmap`.
        captured: `time.monotonic()` at which the last frame was captured, or None.
    """

    frames: Sequence[Frame]
    heatmap: FloatArray
    captured: float | None = None


@dataclass(frozen=True, slots=True)
class _Shown:
    """What an event last showed; its `end` repeats it."""

    id: str
    position: float
    area: Area
    hottest: tuple[float, float]
    picture: Picture


class EventWriter:
    """Writes the messages of one camera."""

    def __init__(
        self,
        *,
        topics: Topics,
        camera: str,
        labels: Sequence[str],
        spec: InputSpec,
        outputs: OutputSpec,
        model_sha256: str,
        boot: str,
        next_seq: Callable[[], int],
        new_id: Callable[[], str],
        style: PictureStyle,
        redactor: Redactor | None = None,
    ) -> None:
        """Write for `camera`.

        Args:
            topics: of the node.
            camera: its identifier.
            labels: names of the classes, by index.
            spec: the manifest's input, which says what part of a frame the network saw.
            outputs: the manifest's outputs, which say where the heatmap's cells lie.
            model_sha256: digest of the bundle's manifest.
            boot: names this run of the agent.
            next_seq: gives the next number of this boot's events.
            new_id: gives a new ULID.
            style: of the pictures.
            redactor: hides what nobody may see, before the heatmap is drawn.
        """
        self._topics = topics
        self._camera = camera
        self._labels = labels
        self._spec = spec
        self._outputs = outputs
        self._model = model_sha256
        self._boot = boot
        self._next_seq = next_seq
        self._new_id = new_id
        self._style = style
        self._redactor = redactor or Clear()
        self._picture_interval = 0.0
        self._shown: dict[int, _Shown] = {}

    def set_picture_interval(self, seconds: float) -> None:
        """Give an `update` a picture only so many seconds after the last one. Any thread may say so."""
        self._picture_interval = seconds

    def show(self, transition: Transition, view: View, origin: float) -> list[Message]:
        """Return the picture and the event of a `new` or `update`; of an `update` too soon, the event alone.

        Args:
            transition: what changed.
            view: the clip that changed it.
            origin: Unix time of the stream's second 0.
        """
        frame = view.frames[most_telling(view.heatmap, transition.label, len(view.frames))]
        known = self._shown.get(transition.label)
        if known is not None and 0 <= frame.time - known.position < self._picture_interval:
            return [self._event_message(self._event(transition, origin), view.captured)]
        seen = seen_region(frame.image.shape[1], frame.image.shape[0], self._spec)
        region = cell_region(seen, self._spec, self._outputs)
        evidence = heatmap.class_map(view.heatmap, transition.label)
        hottest = heatmap.peak(evidence, region)
        safe = self._redactor.redact(frame.image)
        image = heatmap.overlay(safe, evidence, region, seen=seen, alpha=self._style.alpha)
        self._caption(image, transition, origin + frame.time, at_top=hottest[1] > 0.5)
        style = self._style
        still = encode(image, to=style.format, quality=style.quality, max_bytes=style.max_bytes)
        self._shown[transition.label] = _Shown(
            id=known.id if known else self._new_id(),
            position=frame.time,
            area=Area.of(heatmap.hot_box(evidence, region)),
            hottest=_rounded(hottest),
            picture=_describe(still),
        )
        event = self._event(transition, origin)
        return [self._picture_message(still, event, view), self._event_message(event, view.captured)]

    def end(self, transition: Transition, origin: float, captured: float | None = None) -> list[Message]:
        """Return the event of an `end`; `origin` is the Unix time of the stream's second 0."""
        event = self._event(transition, origin)
        del self._shown[transition.label]
        return [self._event_message(event, captured)]

    def _caption(self, image: Image, transition: Transition, time: float, *, at_top: bool) -> None:
        when = datetime.fromtimestamp(time).astimezone()
        title = f"{self._labels[transition.label]} {transition.score:.2f}"
        draw_banner(image, title, f"{self._camera}  {when:%Y-%m-%d %H:%M:%S}", at_top=at_top)

    def _event(self, transition: Transition, origin: float) -> Event:
        shown = self._shown[transition.label]
        ended = transition.kind == "end"
        return Event(
            type=transition.kind,
            id=shown.id,
            seq=self._next_seq(),
            boot=self._boot,
            camera=self._camera,
            label=self._labels[transition.label],
            score=round(min(1.0, transition.score), 4),
            top_score=round(min(1.0, transition.peak), 4),
            start_time=round(origin + transition.start, 3),
            end_time=round(origin + transition.time, 3) if ended else None,
            frame_time=round(origin + shown.position, 3),
            position=round(shown.position, 3),
            start_position=round(transition.start, 3),
            end_position=round(transition.time, 3) if ended else None,
            area=shown.area,
            hottest=shown.hottest,
            zone=transition.zone,
            picture=shown.picture,
            model_sha256=self._model,
        )

    def _event_message(self, event: Event, captured: float | None) -> Message:
        topic = self._topics.events(self._camera)
        return Message(topic, event.model_dump_json().encode(), captured=captured)

    def _picture_message(self, still: Still, event: Event, view: View) -> Message:
        properties = (("from", self._topics.node), ("model", self._model), ("seq", str(event.seq)))
        return Message(
            self._topics.heatmap(self._camera),
            still.data,
            retain=True,
            content_type=still.content_type,
            properties=properties,
            captured=view.captured,
        )


def most_telling(evidence: FloatArray, label: int, frames: int) -> int:
    """Return the index of the frame at the time slice with the most evidence for a class.

    Args:
        evidence: (K, T', H', W') float32, one clip of `Outputs.heatmap`.
        label: index of the class.
        frames: number of frames in the clip, T; each slice stands for T / T' of them.
    """
    slices = np.maximum(evidence[label], 0.0).sum(axis=(1, 2))
    return int((int(slices.argmax()) + 0.5) / len(slices) * frames)


def draw_banner(image: Image, title: str, detail: str, *, at_top: bool = False) -> None:
    """Write two lines on a dark band along the lower or upper edge of a picture, in place.

    The letters are a fixed part of the picture's height, and smaller where a line would not fit its width.

    Args:
        image: (H, W, 3) uint8, BGR.
        title: the upper line.
        detail: the lower line.
        at_top: take the upper edge, where the lower one would hide what the picture is about.
    """
    height, width = image.shape[:2]
    line = min(max(16, round(height * 0.06)), max(8, height // 6))
    margin = max(2, line // 3)
    band = 2 * line + 2 * margin
    top = 0 if at_top else height - band
    image[max(0, top) : max(0, top + band)] //= 3
    for row, text in enumerate((title, detail)):
        _write(image, text, (margin, top + margin + (row + 1) * line - line // 5), line, width - 2 * margin)


def _write(image: Image, text: str, origin: tuple[int, int], line: int, room: int) -> None:
    font, thickness = cv2.FONT_HERSHEY_SIMPLEX, 1 + line // 14
    plain = text.encode("ascii", "replace").decode()
    (_, tall), _ = cv2.getTextSize("H", font, 1.0, thickness)
    (width, _), _ = cv2.getTextSize(plain, font, 1.0, thickness)
    scale = min(0.72 * line / tall, room / max(1, width))
    cv2.putText(image, plain, origin, font, scale, (255, 255, 255), thickness, cv2.LINE_AA)


def _describe(still: Still) -> Picture:
    return Picture(sha256=still.sha256, bytes=len(still.data), width=still.width, height=still.height)


def _rounded(point: tuple[float, float]) -> tuple[float, float]:
    return round(point[0], 3), round(point[1], 3)
