"""What a model is: the bundle's `manifest.json`, read and written by every room.

A bundle is a directory of plain files. The manifest names each with its length and SHA-256, says
how frames become the network's input and what its outputs mean, and carries the proof that each
exported variant equals the network that was trained. It is strict: an unknown key, a missing key or
a value of the wrong type is an error that names the key. `SCHEMA_VERSION` rises when a reader of the
old version would misread a new file.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from vedette_edge.errors import ManifestError
from vedette_edge.validation import describe_errors

__all__ = [
    "MANIFEST_NAME",
    "SCHEMA_VERSION",
    "Accuracy",
    "AnomalySpec",
    "Bounds",
    "Cells",
    "Decision",
    "FileEntry",
    "FlowSpec",
    "Golden",
    "InputSpec",
    "Label",
    "Manifest",
    "Measured",
    "OutputSpec",
    "Parity",
    "Proof",
    "Provenance",
    "Refusal",
    "Spread",
    "StateTensor",
    "Statistics",
    "Variant",
    "read_manifest",
]

MANIFEST_NAME = "manifest.json"
SCHEMA_VERSION = 1
_MAX_MANIFEST_BYTES = 4 * 1024 * 1024
_DIS_SIDE = 32  # pixels; OpenCV's DIS reads outside of narrower pictures, and ends the process

Runtime = Literal["onnx", "openvino", "tflite"]
Precision = Literal["fp32", "fp16", "int8"]
TemporalMode = Literal["clip", "stream"]


def _plain_relative_path(value: str) -> str:
    """Refuse names that could leave the bundle's directory."""
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or "\\" in value or value != path.as_posix():
        raise ValueError(f"must be a plain relative path inside the bundle, got {value!r}")
    return value


RelativePath = Annotated[str, Field(min_length=1), AfterValidator(_plain_relative_path)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class FileEntry(_Part):
    """One file of the bundle."""

    path: RelativePath = Field(description="Relative to the manifest, with forward slashes.")
    bytes: int = Field(ge=0, description="Length in bytes.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Lower-case hexadecimal digest.")


class Label(_Part):
    """One class of the network; its place in the list is its index in `logits`."""

    name: str = Field(min_length=1)
    alarm: bool = Field(description="Whether the agent raises an event for it.")


class FlowSpec(_Part):
    """Dense optical flow between neighbouring sampled frames, in pixels of the network's input.

    The flow of a frame says how each point moved from the frame before it; that of a stream's first frame
    is zero. It is computed on the fitted frames, in grey. The parameters are OpenCV's.
    """

    algorithm: Literal["farneback", "dis"] = Field(
        default="farneback",
        description="farneback: Farneback 2003, polynomial expansion. dis: Kroeger et al. 2016, faster.",
    )
    pyr_scale: float = Field(default=0.5, gt=0, lt=1, description="Farneback: size of each pyramid level.")
    levels: int = Field(default=3, ge=1, description="Farneback: pyramid levels.")
    winsize: int = Field(default=15, ge=3, description="Farneback: averaging window, pixels.")
    iterations: int = Field(default=3, ge=1, description="Farneback: per level.")
    poly_n: int = Field(default=5, ge=3, description="Farneback: neighbourhood of the expansion, pixels.")
    poly_sigma: float = Field(default=1.2, gt=0, description="Farneback: sigma of the expansion.")
    preset: Literal["ultrafast", "fast", "medium"] = Field(default="medium", description="DIS: quality.")
    subtract_mean: bool = Field(
        default=True, description="Take away the mean over the picture: the camera's own motion."
    )
    bound: float = Field(
        default=10.0,
        gt=0,
        description="Pixels a sampled frame; the flow is cut to +-bound and divided by it.",
    )
    magnitude: bool = Field(
        default=False,
        description="A third channel: its length, cut to `bound`, scaled to -1..1. With it flow has the "
        "channels of a picture, and networks that know pictures can begin with it.",
    )


class InputSpec(_Part):
    """How frames become the network's input, (N, C, T, H, W) float32.

    Each sampled frame is resized by `crop`, put into `color` order, and each value v in 0..255
    becomes `(v / 255 - mean) / std` for its channel. With `temporal` "difference", each frame then
    becomes its difference to the frame before it, and the first one zero. With `flow`, its channels
    follow or stand alone, as `streams` says: to the right, downwards, and its length where `flow.magnitude`
    asks for it, each in -1..1.
    """

    frames: int = Field(ge=1, description="Frames in a clip, T.")
    fps: float = Field(gt=0, description="Frames sampled per second of the stream's own time.")
    height: int = Field(ge=8, description="Pixels, H.")
    width: int = Field(ge=8, description="Pixels, W.")
    crop: Literal["stretch", "center", "letterbox"] = Field(
        description="stretch: the whole picture, aspect not kept. center: the largest centred part of "
        "the right aspect. letterbox: the whole picture, aspect kept, mean-coloured bars."
    )
    color: Literal["rgb", "bgr"] = Field(description="Channel order of C.")
    axes: Literal["NCTHW"] = Field(description="Axis order of the tensor.")
    mean: tuple[float, float, float] = Field(description="Per channel, for values in 0..1.")
    std: tuple[float, float, float] = Field(description="Per channel, for values in 0..1.")
    temporal: Literal["none", "difference"] = Field(
        default="none", description="none: the pictures. difference: what changed since the frame before."
    )
    streams: Literal["rgb", "flow", "rgb+flow"] = Field(
        default="rgb", description="C: 3 of the picture, 2 or 3 of the flow, or all, the picture first."
    )
    flow: FlowSpec | None = Field(default=None, description="Needed where `streams` names flow.")

    @model_validator(mode="after")
    def _parts_fit_together(self) -> InputSpec:
        if min(self.std) <= 0:
            raise ValueError(f"std must be positive, got {self.std}")
        if ("flow" in self.streams) != (self.flow is not None):
            raise ValueError(f"streams is {self.streams!r} and flow is {'set' if self.flow else 'not set'}")
        if self.flow and self.flow.algorithm == "dis" and min(self.height, self.width) < _DIS_SIDE:
            raise ValueError(f"flow by 'dis' needs height and width of {_DIS_SIDE} or more; use 'farneback'")
        return self

    @property
    def channels(self) -> int:
        """Channels of the network's input, C."""
        of_flow = 3 if self.flow and self.flow.magnitude else 2
        return {"rgb": 3, "flow": of_flow, "rgb+flow": 3 + of_flow}[self.streams]

    @property
    def seconds(self) -> float:
        """Length of a clip in seconds."""
        return self.frames / self.fps


class Cells(_Part):
    """Where the cells of a heatmap lie in the network's input.

    Cell (row i, column j) speaks of the input around pixel (first + stride * j, first + stride * i). Strided
    convolutions with symmetric padding keep the first cell at the first pixel, so the cells are not
    centred on the picture: for MobileNetV2 taking them so would shift every heatmap by 16 pixels.
    """

    stride: float = Field(gt=0, description="Pixels of the input from one cell to the next.")
    first: float = Field(description="Pixel coordinate of the first cell's centre; 0.5 is the first pixel's.")


class OutputSpec(_Part):
    """The network's outputs, without the batch axis."""

    logits: tuple[int] = Field(description="(K,): one number a class, before softmax.")
    heatmap: tuple[int, int, int, int] = Field(
        description="(K, T', H', W'): the evidence for class k at each place, whose ReLU is HiResCAM on the "
        "last convolution A up to a constant: sum_c w[k,c] * A[c,t,h,w] and 1 / (T' H' W') where one linear "
        "layer follows the mean (where the largest frame of each channel counts instead, A[c] is T'-fold in "
        "that frame and zero in all others), and 9 / (T' H' W') for the dual-stream networks, where A is the "
        "last convolution before their 3x3 grid."
    )
    cells: Cells | None = Field(default=None, description="None: the cells divide the input evenly.")


class Decision(_Part):
    """Defaults by which scores become events; a camera's configuration may override them."""

    # Not `on` and `off`: YAML reads those as true and false.
    on_threshold: Probability = Field(description="An event begins when the smoothed score reaches this.")
    off_threshold: Probability = Field(description="It ends when the smoothed score falls below this.")
    min_duration: float = Field(ge=0, description="Seconds that this must last before an event is told.")
    cooldown: float = Field(ge=0, description="Seconds after an end before the label may begin again.")
    smoothing: int = Field(ge=1, description="Scores averaged, in windows.")
    k: int = Field(
        default=1, ge=1, description="Of the last `n` windows, how many must reach `on_threshold`."
    )
    n: int = Field(default=1, ge=1, description="Windows of which `k` must reach `on_threshold`.")
    hop: int = Field(ge=1, description="Sampled frames from one window to the next.")
    temperature: float = Field(gt=0, description="Logits are divided by this before softmax.")

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Decision:
        problems: list[str] = []
        if self.k > self.n:
            problems.append(f"k ({self.k}) must not be above n ({self.n})")
        if self.off_threshold > self.on_threshold:
            problems.append(
                f"off_threshold ({self.off_threshold}) must not be above on_threshold ({self.on_threshold})"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self


class AnomalySpec(_Part):
    """How an anomaly's score becomes a probability, and its map a picture.

    The probability is 1 / (1 + exp(-(score - threshold) / scale)): 0.5 at the threshold.
    """

    threshold: float = Field(description="A picture whose score reaches it is anomalous.")
    scale: float = Field(gt=0, description="Score above the threshold at which the probability is 0.73.")
    map_low: float = Field(description="Value of the map that is drawn darkest.")
    map_high: float = Field(description="Value of the map that is drawn brightest.")


class Bounds(_Part):
    """What a variant that is not exact had to keep to be written, against the PyTorch model."""

    max_drop: Probability = Field(
        description="Largest loss of accuracy, as a share of all samples; of few samples, one may be lost."
    )
    min_label_agreement: Probability = Field(description="Least share of windows with the same label.")
    max_score: Probability = Field(description="Largest mean |difference| of the probabilities.")
    min_heatmap: float = Field(ge=-1, le=1, description="Least mean correlation of the heatmaps.")


class Parity(_Part):
    """How far an exported variant is from the PyTorch model, on the same samples."""

    samples: int = Field(ge=1)
    source: str = Field(min_length=1, description="Where the samples come from.")
    logits_max_abs: float = Field(ge=0)
    logits_mean_abs: float = Field(ge=0)
    heatmap_max_abs: float = Field(ge=0)
    heatmap_mean_abs: float = Field(ge=0)
    label_agreement: Probability
    score_mean_abs: float | None = Field(default=None, ge=0, description="Of the probabilities.")
    score_max_abs: float | None = Field(default=None, ge=0, description="Of the probabilities.")
    heatmap_correlation: float | None = Field(
        default=None, ge=-1, le=1, description="Pearson's, of the map of the reference's label; mean."
    )
    tolerance: float | None = Field(
        default=None,
        gt=0,
        description="Bound on both maxima, relative to max(1, |reference|); None: `Proof.bounds` hold.",
    )
    heatmap_tolerance: float | None = Field(
        default=None, gt=0, description="Of the heatmap, where it is not `tolerance`."
    )


class Accuracy(_Part):
    """Share of right labels, with its 95 % Wilson interval."""

    value: Probability
    low: Probability
    high: Probability
    samples: int = Field(ge=1)
    split: str = Field(min_length=1)


class Proof(_Part):
    """Why a variant may be trusted."""

    parity: Parity
    accuracy: Accuracy | None = None
    drop: float | None = Field(
        default=None, description="Accuracy of the PyTorch model on these samples, less the variant's."
    )
    bounds: Bounds | None = Field(default=None, description="What it had to keep, where it is not exact.")


class StateTensor(_Part):
    """One tensor that a streaming variant carries from call to call; it begins as zeros.

    What comes out as `next_NAME` goes in as NAME with the next frame.
    """

    name: str = Field(min_length=1)
    shape: tuple[int, ...]
    dtype: Literal["float32", "float16", "int8"]


class Measured(_Part):
    """Cost of one call on the machine that built the bundle; a device measures its own."""

    machine: str
    threads: int = Field(ge=1)
    p50_ms: float = Field(ge=0)
    p95_ms: float = Field(ge=0)
    peak_rss_bytes: int = Field(ge=0, description="Peak resident memory of the measuring process.")
    per_second: float | None = Field(default=None, gt=0, description="Calls a second, one after the other.")


class Variant(_Part):
    """One exported form of the network.

    Mode `clip`: `clips` (N, C, T, H, W) to `logits` (N, K) and `heatmap` (N, K, T', H', W').
    Mode `stream`: `frame` (1, C, 1, H, W) and the state to `logits` (1, K) of the last T frames, `heatmap`
    (1, K, 1, H', W') of this frame, and the next state.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    runtime: Runtime
    precision: Precision
    mode: TemporalMode
    files: tuple[FileEntry, ...] = Field(min_length=1, description="The first is the model itself.")
    opset: int | None = Field(default=None, description="ONNX opset, where there is one.")
    lowered: bool = Field(default=False, description="3D operators were written as 2D ones, exactly.")
    macs: int | None = Field(default=None, ge=0, description="Multiply-accumulates of a call.")
    kept_float: tuple[str, ...] = Field(
        default=(), description="Layers that were not quantised, because the bounds would not have held."
    )
    tolerance: float | None = Field(
        default=None,
        gt=0,
        description="Bound on its golden samples, in place of `Golden.tolerance`.",
    )
    state: tuple[StateTensor, ...] = ()
    measured: Measured | None = None
    proof: Proof


class Refusal(_Part):
    """A variant that was asked for and not written, and why."""

    runtime: Runtime
    precision: Precision
    mode: TemporalMode
    reason: str = Field(min_length=1)


class Golden(_Part):
    """Inputs with the outputs of the PyTorch model, which a device runs again before it trusts a variant.

    `inputs` is (N, T, H, W, 3) uint8 after resizing, in the colour order of the input; `logits` is
    (N, K) and `heatmap` (N, K, T', H', W'), float32. All are `.npy` files without pickles.
    """

    inputs: FileEntry
    logits: FileEntry
    heatmap: FileEntry
    tolerance: float = Field(gt=0, description="Bound on |difference|, relative to max(1, |expected|).")


class Spread(_Part):
    """Mean and standard deviation."""

    mean: float
    std: float = Field(ge=0)


class Statistics(_Part):
    """What the PyTorch model said and saw of held-out samples; a device measures drift against it.

    Where some labels do not alarm, only samples of these count: they are what a camera sees every day, while
    a dataset has as many alarms as could be found.
    """

    windows: int = Field(ge=1)
    source: str = Field(min_length=1, description="Which samples, for a reader.")
    scores: tuple[Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=2)], ...] = Field(
        min_length=1,
        description="For each label, how many windows gave it a probability in each bin of equal width.",
    )
    brightness: Spread = Field(description="Of the last frame of each window, as the network sees it, 0..1.")
    contrast: Spread = Field(description="Its standard deviation over the places, 0..1.")

    @model_validator(mode="after")
    def _every_window_is_counted(self) -> Statistics:
        if len({len(counts) for counts in self.scores}) != 1:
            raise ValueError("scores must have the same number of bins for each label")
        if any(sum(counts) != self.windows for counts in self.scores):
            raise ValueError(f"scores must count each of the {self.windows} windows once for each label")
        return self


class Provenance(_Part):
    """Where the model comes from."""

    created: str = Field(description="ISO 8601, UTC.")
    recipe: dict[str, JsonValue]
    dataset: str = Field(description="SHA-256 over the names and sizes of the training files.")
    split: dict[str, tuple[str, ...]] = Field(description="Groups of each part.")
    seed: int
    versions: dict[str, str]
    metrics: dict[str, JsonValue]

    @model_validator(mode="after")
    def _created_is_iso(self) -> Provenance:
        datetime.fromisoformat(self.created)
        return self


class Manifest(_Part):
    """The contract between training and device."""

    schema_version: Literal[1] = Field(description="This schema; other versions are refused.")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    task: Literal["classify", "anomaly"]
    architecture: str = Field(min_length=1)
    release: int = Field(ge=0, description="Rises with every release; a device never goes back.")
    min_agent: str = Field(pattern=r"^\d+\.\d+\.\d+$", description="Oldest agent that may run it.")
    labels: tuple[Label, ...] = Field(min_length=1)
    input: InputSpec
    outputs: OutputSpec
    decision: Decision
    anomaly: AnomalySpec | None = Field(default=None, description="Of task anomaly, which has one label.")
    variants: tuple[Variant, ...] = Field(min_length=1)
    refused: tuple[Refusal, ...] = ()
    golden: Golden
    statistics: Statistics | None = Field(default=None, description="None: drift cannot be measured.")
    provenance: Provenance

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Manifest:
        names = [label.name for label in self.labels]
        if len(set(names)) != len(names):
            raise ValueError(f"labels must differ, got {names}")
        if {len(names), self.outputs.logits[0], self.outputs.heatmap[0]} != {len(names)}:
            raise ValueError(
                f"{len(names)} labels, but outputs for {self.outputs.logits[0]} (logits) "
                f"and {self.outputs.heatmap[0]} (heatmap) classes"
            )
        if (self.task == "anomaly") != (self.anomaly is not None) or (self.anomaly and len(names) != 1):
            raise ValueError(
                "task anomaly needs the section anomaly and one label, others have no such section"
            )
        if self.statistics and len(self.statistics.scores) != len(names):
            raise ValueError(f"{len(names)} labels, but statistics of {len(self.statistics.scores)}")
        variants = [variant.name for variant in self.variants]
        if len(set(variants)) != len(variants):
            raise ValueError(f"variants must have different names, got {variants}")
        return self

    def to_json(self) -> str:
        """Return the manifest as indented JSON with a final newline."""
        return self.model_dump_json(indent=2) + "\n"


def read_manifest(directory: Path) -> Manifest:
    """Read and validate the manifest of a bundle.

    Args:
        directory: the bundle.

    Raises:
        ManifestError: when there is no manifest, it is larger than 4 MiB, not JSON, of another schema
            version, or does not follow the schema; the message names the file and every wrong key.
    """
    path = directory / MANIFEST_NAME
    try:
        if path.stat().st_size > _MAX_MANIFEST_BYTES:
            raise ManifestError(f"{path} is larger than 4 MiB: this is no manifest")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(
            f"{directory} is not a bundle: cannot read {path} ({error}); "
            "give the directory that vedette-convert wrote"
        ) from error
    _refuse_other_schema(path, text)
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        raise ManifestError(f"{path}: {describe_errors(error, Manifest)}") from error


def _refuse_other_schema(path: Path, text: str) -> None:
    try:
        data: Any = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{path} is not JSON: {error}") from error
    found = data.get("schema_version") if isinstance(data, dict) else None
    if found != SCHEMA_VERSION:
        raise ManifestError(
            f"{path}: schema_version is {found!r}, this version of vedette reads {SCHEMA_VERSION}; "
            "convert the run again with this version, or upgrade the agent"
        )


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")
