"""Makes one variant: the faster form, quantised as far as the bounds allow, proved in its runtime."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from vedette_converters.bundle import BundleWriter
from vedette_converters.calibration import calibration_clips, clip_feeds, stream_feeds
from vedette_converters.forms import Forms, macs
from vedette_converters.graph import Feed, Graph, lies_in
from vedette_converters.parity import FP32_TOLERANCE, judge, prove
from vedette_converters.plan import Wish
from vedette_converters.samples import Samples
from vedette_converters.streaming import streams
from vedette_converters.subjects import Subject
from vedette_converters.targets import Model, target
from vedette_converters.trial import survive
from vedette_edge.errors import BundleError, ProofError, RuntimeBackendError
from vedette_edge.manifest import Bounds, Proof, TemporalMode, Variant
from vedette_edge.measure import measure
from vedette_edge.proof import as_told, compare, golden_outputs
from vedette_edge.runtimes import Session, StreamingSession, load
from vedette_edge.types import FloatArray
from vedette_train.sensitivity import sensitivity

__all__ = ["Maker"]

# How many of the most sensitive layers stay in float, try after try.
_KEPT = (2, 5, 10, 20)
_COMPARED = 8  # clips that the sensitivity of a layer is measured on
_GLANCE = 0.3  # seconds to time a form
# A golden sample may be this much further away on a device than it is here, where rounding is coarse.
_SLACK_FACTOR, _SLACK = 2.0, 0.05


@dataclass(frozen=True, slots=True, eq=False)
class _Made:
    """A form that was written and loaded, not proved yet; `kept` are its layers in float."""

    graph: Graph
    model: Model
    draft: Variant
    session: Session | StreamingSession
    kept: tuple[str, ...]


class Maker:
    """Makes the variants of a subject; what they share is computed once."""

    def __init__(self, subject: Subject, samples: Samples, bounds: Bounds) -> None:
        """Prove variants of `subject` on `samples`; `bounds` hold for those that are not exact."""
        self._subject = subject
        self._samples = samples
        self._bounds = bounds
        self._forms = Forms(subject.network, subject.description.input)
        self._feeds: dict[TemporalMode, Sequence[Feed]] = {}

    @property
    def causal(self) -> bool:
        """Whether the network can run frame by frame."""
        return streams(self._subject.network)

    def make(self, wish: Wish, writer: BundleWriter) -> Variant:
        """Write, load and prove a variant, and put its files into the bundle.

        Raises:
            BundleError: when the runtime cannot express the network.
            RuntimeBackendError: when the runtime cannot load or run what was written for it.
            ProofError: when it is not good enough.
            MissingExtraError: when the runtime's libraries are not installed.
        """
        reasons = []
        for made in self._tries(wish):
            try:
                proof = self._prove(wish, made.session)
            except ProofError as error:
                reasons.append(
                    f"{error} (with {len(made.kept)} layers in float)" if made.kept else str(error)
                )
                continue
            files = tuple(writer.add(f"{wish.name}{suffix}", data) for suffix, data in made.model.files)
            return made.draft.model_copy(
                update={
                    "files": files,
                    "proof": proof,
                    "kept_float": made.kept,
                    "macs": macs(made.graph),
                    "tolerance": self._tolerance(wish, made.session),
                }
            )
        raise ProofError(f"{wish.name}: {'; '.join(reasons)}")

    def _tries(self, wish: Wish) -> Iterator[_Made]:
        """Yield the faster form; for int8 then again, with more and more layers left in float."""
        if wish.precision != "int8":
            yield self._fastest(wish, ())
            return
        always: tuple[str, ...] = getattr(self._subject.network, "keeps_float", ())
        first = self._fastest(wish, always)
        yield first
        others = [layer for layer in self._ranking if not any(lies_in(layer, one) for one in always)]
        for count in _KEPT:
            if count < len(others):
                yield self._try(wish, first.graph, (*always, *others[:count]))

    def _fastest(self, wish: Wish, kept: tuple[str, ...]) -> _Made:
        """Return the form that is faster in the runtime, at this precision."""
        forms = self._forms.of(wish.runtime, wish.mode)
        if len(forms) == 1:
            return self._try(wish, forms[0], kept)
        timed, errors = [], []
        for graph in forms:
            try:
                made = self._try(wish, graph, kept)
                timed.append((measure(made.session, [self._clip], seconds=_GLANCE).p50_ms, made))
            except (BundleError, RuntimeBackendError) as error:
                errors.append(error)
        if not timed:
            raise errors[0]
        return min(timed, key=lambda pair: pair[0])[1]

    def _try(self, wish: Wish, graph: Graph, kept: tuple[str, ...]) -> _Made:
        """Write a form, leaving some layers in float, and load it."""
        feeds = self._feeds_of(graph) if wish.precision == "int8" else ()
        model = target(wish.runtime).build(graph, wish.precision, feeds, kept)
        draft = _draft(wish, graph, model)
        survive(model, draft, self._clip)
        return _Made(graph, model, draft, load(model.contents, draft), kept)

    @property
    def _clip(self) -> FloatArray:
        return self._samples.golden.tensor[:1]

    def _feeds_of(self, graph: Graph) -> Sequence[Feed]:
        if graph.mode not in self._feeds:
            stream = graph.mode == "stream"
            self._feeds[graph.mode] = (
                stream_feeds(self._subject, graph) if stream else clip_feeds(self._clips)
            )
        return self._feeds[graph.mode]

    def _prove(self, wish: Wish, session: Session | StreamingSession) -> Proof:
        samples = self._samples.streams if wish.mode == "stream" else self._samples.clips
        description = self._subject.description
        judged = judge(session, samples, description.scale)
        return prove(judged, wish.precision, self._bounds, description.split, self._heatmap_tolerance)

    @property
    def _heatmap_tolerance(self) -> float:
        found: float = getattr(self._subject.network, "heatmap_tolerance", FP32_TOLERANCE)
        return found

    def _tolerance(self, wish: Wish, session: Session | StreamingSession) -> float | None:
        """Return the bound on the golden samples, None where it is that of all."""
        if wish.precision == "fp32":
            # Another processor sums in another order.
            return None if self._heatmap_tolerance == FP32_TOLERANCE else 10 * self._heatmap_tolerance
        golden = self._samples.golden
        found = golden_outputs(session, golden.frames, self._subject.description.input)
        difference = compare(found, as_told(golden.outputs, wish.mode))
        return _SLACK_FACTOR * max(difference.logits_max, difference.heatmap_max) + _SLACK

    @cached_property
    def _clips(self) -> list[FloatArray]:
        return calibration_clips(self._subject)

    @cached_property
    def _ranking(self) -> list[str]:
        """The layers, the one that suffers most from int8 first."""
        clips = torch.from_numpy(np.concatenate(self._clips[:_COMPARED]))
        network = self._subject.network
        assert isinstance(network, torch.nn.Module)
        return list(sensitivity(network, clips, clips))


def _draft(wish: Wish, graph: Graph, model: Model) -> Variant:
    """Return what is known of a variant before it is proved, which is enough to load it."""
    # The proof is still to come, so this is not validated.
    return Variant.model_construct(  # type: ignore[call-arg]
        name=wish.name,
        runtime=wish.runtime,
        precision=wish.precision,
        mode=wish.mode,
        files=(),
        opset=model.opset,
        lowered=graph.lowered,
        state=graph.state if model.state is None else model.state,
    )
