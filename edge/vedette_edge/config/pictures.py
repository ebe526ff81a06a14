"""What is shown, kept on disk, and hidden."""

from __future__ import annotations

from pydantic import Field

from vedette_edge.config.sections import LocalPath, Polygon, Section
from vedette_edge.privacy.detectors import DetectorKind
from vedette_edge.stills import StillFormat

__all__ = ["BlurConfig", "ClipsConfig", "PrivacyConfig", "SnapshotConfig"]


class SnapshotConfig(Section):
    """The pictures that go with events, and the plain ones that are asked for."""

    directory: LocalPath | None = Field(
        default=None, description="Also keep the pictures of events here, for as long as `clips` says."
    )
    format: StillFormat = Field(default="jpeg", description="webp is half the size, and slow to encode.")
    quality: int = Field(default=85, ge=20, le=100, description="Of the encoding, to begin with.")
    max_bytes: int = Field(
        default=122_880, ge=4096, le=1_000_000, description="Bound on a picture; some brokers refuse 128 kB."
    )
    alpha: float = Field(
        default=0.55, ge=0, le=1, description="Opacity of the heatmap where it is strongest."
    )


class ClipsConfig(Section):
    """Videos of events, kept on this device."""

    directory: LocalPath | None = Field(default=None, description="Keep them here; null: none are kept.")
    before: float = Field(default=5.0, ge=0, le=60, description="Seconds before an event.")
    after: float = Field(default=5.0, ge=0, le=60, description="Seconds after it.")
    longest: float = Field(default=120.0, ge=1, le=600, description="Seconds, both included.")
    fps: float = Field(default=10.0, gt=0, le=30, description="Frames a second at most.")
    side: int = Field(default=640, ge=64, le=1920, description="Longer side of the picture at most, pixels.")
    quality: int = Field(default=60, ge=20, le=100, description="Of the encoding.")
    max_bytes: int = Field(
        default=1_073_741_824,
        ge=1_048_576,
        description="Of clips and kept pictures together; then the oldest go.",
    )
    keep_days: float = Field(default=14, gt=0, description="Clips and kept pictures go after that.")


class BlurConfig(Section):
    """A detector whose finds are hidden wherever a picture leaves the device or is stored."""

    model: LocalPath = Field(description="The detector, an ONNX file.")
    kind: DetectorKind = Field(description="fastestdet: objects of COCO; yunet: faces.")
    labels: tuple[str, ...] = Field(
        default=("person",), min_length=1, description="What fastestdet hides; yunet hides faces."
    )
    threshold: float = Field(
        default=0.2, gt=0, lt=1, description="Score from which something is hidden; lower hides more."
    )
    margin: float = Field(
        default=0.15, ge=0, le=1, description="What is hidden around it, as a part of its size."
    )


class PrivacyConfig(Section):
    """What of a camera nobody may see. The model does not see masked places either."""

    masks: tuple[Polygon, ...] = Field(default=(), max_length=32, description="Black, from the capture on.")
    blur: BlurConfig | None = Field(default=None, description="Persons or faces under a mosaic.")
