"""All that shows, keeps and hides pictures, made as the configuration says; one for the whole agent."""

from __future__ import annotations

from collections.abc import Sequence

from vedette_edge.config import AgentConfig, CameraConfig
from vedette_edge.config.gate import DriftConfig
from vedette_edge.config.pictures import BlurConfig
from vedette_edge.drift.samples import SampleKeeper
from vedette_edge.errors import ConfigError
from vedette_edge.events import PictureStyle
from vedette_edge.pipeline import Recorder
from vedette_edge.privacy import Clear, Mosaic, Redactor, open_detector
from vedette_edge.publish.base import Message
from vedette_edge.recording.archive import PictureArchive
from vedette_edge.recording.recorder import ClipRecorder, ClipStyle
from vedette_edge.recording.retention import Retention
from vedette_edge.snapshot import LatestFrame
from vedette_edge.topics import Topics

__all__ = ["Keeper"]


class Keeper:
    """Makes recorders and redactors, and ends them."""

    def __init__(self, config: AgentConfig, topics: Topics) -> None:
        """Clear up after a kill; start to keep pictures, where they are kept.

        Raises:
            ConfigError: when samples cannot be kept where they shall be.
        """
        clips, snapshots = config.clips, config.snapshots
        self._topics = topics
        self._clips = clips
        self._clip_style = ClipStyle(
            clips.before, clips.after, clips.longest, clips.fps, clips.side, clips.quality
        )
        self.style = PictureStyle(snapshots.quality, snapshots.max_bytes, snapshots.alpha, snapshots.format)
        directories = [one for one in (clips.directory, snapshots.directory) if one is not None]
        self._retention = Retention(directories, max_bytes=clips.max_bytes, keep_days=clips.keep_days)
        self._retention.recover()
        self._archive = PictureArchive(snapshots.directory, self._retention) if snapshots.directory else None
        self._redactors: dict[BlurConfig, Redactor] = {}
        self._redactor_of: dict[str, Redactor] = {}
        self._recorders: list[ClipRecorder] = []
        self._of: dict[str, tuple[BlurConfig | None, list[Recorder]]] = {}
        self.latest: dict[str, LatestFrame] = {}
        self.samples = self._make_samples(config.drift)

    @property
    def dropped(self) -> int:
        """Frames of clips, and sets of pictures, for which there was no time."""
        return sum(one.dropped for one in self._threads)

    @property
    def rates(self) -> list[float]:
        """At which frames per second its recorders take samples."""
        return [] if self._clips.directory is None else [self._clips.fps]

    def redactor(self, camera: CameraConfig) -> Redactor:
        """Return what hides persons or faces of a camera; cameras with the same settings share a detector.

        Raises:
            ConfigError: when the detector cannot be used.
        """
        self._redactor_of[camera.id] = redactor = self._shared_redactor(camera.privacy.blur)
        return redactor

    def _shared_redactor(self, blur: BlurConfig | None) -> Redactor:
        if blur is None:
            return Clear()
        if blur not in self._redactors:
            detector = open_detector(blur.kind, blur.model, blur.labels, blur.threshold)
            self._redactors[blur] = Mosaic(detector, blur.margin)
        return self._redactors[blur]

    def recorders(self, camera: CameraConfig) -> list[Recorder]:
        """Return the recorders of a camera's pipeline; a pipeline that follows another gets the same ones.

        Raises:
            ConfigError: as `redactor`.
        """
        blur, known = self._of.get(camera.id, (None, []))
        if known and blur == camera.privacy.blur:
            return known
        made = self._make_recorders(camera)
        self._of[camera.id] = camera.privacy.blur, made
        return made

    def _make_samples(self, drift: DriftConfig) -> SampleKeeper | None:
        directory = drift.samples_directory
        if directory is None:
            return None
        try:
            return SampleKeeper(
                directory,
                drift.samples_max_bytes,
                max_margin=drift.samples_margin,
                interval=drift.samples_interval,
                redact=lambda camera, image: self._redactor_of[camera].redact(image),
            )
        except OSError as error:
            raise ConfigError(f"{directory}: cannot keep samples there ({error.strerror})") from error

    def _make_recorders(self, camera: CameraConfig) -> list[Recorder]:
        redactor = self.redactor(camera)
        latest = LatestFrame(self._topics, camera.id, self.style, redactor)
        self.latest[camera.id] = latest
        if self._clips.directory is None:
            return [latest]
        clips = ClipRecorder(
            self._clips.directory, self._topics, camera.id, self._clip_style, redactor, self._retention
        )
        self._recorders.append(clips)
        return [latest, clips]

    def keep(self, messages: Sequence[Message]) -> None:
        """Keep the pictures among a camera's messages."""
        if self._archive is not None:
            self._archive.keep(messages)

    def stop(self) -> None:
        """Let the threads end once they have written what waits; call it when the cameras have ended."""
        for one in self._threads:
            one.stop()
        if self.samples is not None:
            self.samples.close()

    @property
    def finished(self) -> bool:
        """Whether all threads have ended."""
        return all(one.finished for one in self._threads)

    @property
    def _threads(self) -> list[ClipRecorder | PictureArchive]:
        return [*self._recorders, *([self._archive] if self._archive is not None else [])]
