"""Which variant the agent runs: the one it is told to, or the best that works on this device.

Candidates are taken one after the other: each is loaded, and proves itself, only when it is its turn. So the
same list serves at the start and when what runs fails.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from vedette_edge import __version__
from vedette_edge.bundle import Bundle
from vedette_edge.config import AUTO
from vedette_edge.config.models import Mode
from vedette_edge.errors import BundleError, MissingExtraError, ProofError, RuntimeBackendError, VedetteError
from vedette_edge.manifest import Manifest, Measured, Variant
from vedette_edge.proof import Proved, open_proved
from vedette_edge.runtimes import Provider, placements

__all__ = ["Candidate", "Choice", "candidates", "cost", "placed", "version_numbers"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A variant, and what it runs on.

    Attributes:
        variant: which one.
        providers: one of `runtimes.placements`.
    """

    variant: Variant
    providers: tuple[Provider, ...]

    @property
    def name(self) -> str:
        """The variant's name, and the accelerator where there is one."""
        first = self.providers[0]
        return self.variant.name if first == "cpu" else f"{self.variant.name} on {first}"


def candidates(
    bundle: Bundle, name: str, measured: Mapping[str, Measured], *, mode: Mode = AUTO
) -> list[Variant]:
    """Return the variants to try, the best first.

    The best costs least a sampled frame: a clip is judged once each hop, a stream's network at each frame.
    Those nobody measured follow, streams before clips, in the bundle's order.

    Args:
        bundle: the model.
        name: of a variant, which is then the only one, or `auto`.
        measured: costs on this device, by the variant's name.
        mode: only variants of it, or `auto`.

    Raises:
        BundleError: when there is none of that name or mode, or this agent cannot run the model.
    """
    manifest = bundle.manifest
    if version_numbers(manifest.min_agent) > version_numbers(__version__):
        raise BundleError(
            f"{bundle.directory} needs agent {manifest.min_agent} or later, this is {__version__}: upgrade"
        )
    if manifest.task == "anomaly" and manifest.input.frames != 1:
        raise BundleError(
            f"{bundle.directory}: this agent runs task anomaly on single pictures, not on clips of "
            f"{manifest.input.frames} frames"
        )
    wished = manifest.variants if name == AUTO else (bundle.variant(name),)
    modes = {"clip"} if manifest.task == "anomaly" else {"clip", "stream"}
    if mode != AUTO:
        modes &= {mode}
    found = [variant for variant in wished if variant.mode in modes]
    if not found:
        names = ", ".join(f"'{variant.name}' ({variant.mode})" for variant in wished)
        raise BundleError(
            f"{bundle.directory}: no variant of task {manifest.task} fits mode {mode}; there is: {names}"
        )
    return sorted(found, key=lambda variant: _rank(variant, cost(variant, manifest, measured)))


def cost(variant: Variant, manifest: Manifest, measured: Mapping[str, Measured]) -> float | None:
    """Return the milliseconds that a variant costs a sampled frame; None where nobody measured it."""
    found = measured.get(variant.name)
    if found is None:
        return None
    return found.p50_ms / (manifest.decision.hop if variant.mode == "clip" else 1)


def placed(variants: Iterable[Variant], providers: Sequence[Provider] | None = None) -> list[Candidate]:
    """Return each variant on all that it may run on here; see `runtimes.placements`."""
    return [
        Candidate(variant, placement) for variant in variants for placement in placements(variant, providers)
    ]


class Choice:
    """Takes candidates in turn, and gives those that work here."""

    def __init__(
        self,
        bundle: Bundle,
        tried: Sequence[Candidate],
        *,
        threads: int = 0,
        named: bool = False,
        on_try: Callable[[Candidate], None] = lambda _: None,
    ) -> None:
        """Choose among candidates.

        Args:
            bundle: the model.
            tried: the best first.
            threads: threads of one inference; 0 leaves the choice to the runtime.
            named: the user named the variant; what is wrong with it is then told as it is.
            on_try: told of each candidate before it is loaded.
        """
        self._bundle = bundle
        self._left = list(tried)
        self._threads = threads
        self._named = named
        self._on_try = on_try

    def next(self) -> tuple[Candidate, Proved]:
        """Load the next candidate that works here.

        Raises:
            BundleError: when a file is missing or changed; when no candidate is left, with the reasons.
            VedetteError: when the variant that the user named cannot be loaded, or does not prove itself.
        """
        errors: dict[str, VedetteError] = {}
        while self._left:
            candidate = self._left.pop(0)
            self._on_try(candidate)
            try:
                proved = open_proved(
                    self._bundle, candidate.variant, threads=self._threads, providers=candidate.providers
                )
            except (MissingExtraError, RuntimeBackendError, ProofError) as error:
                errors[candidate.name] = error
                continue
            for name, reason in errors.items():
                _log.warning("passed over, as it does not work here: %s: %s", name, reason)
            return candidate, proved
        if self._named and len(errors) == 1:
            raise next(iter(errors.values()))
        reasons = "; ".join(f"{name}: {reason}" for name, reason in errors.items()) or "none is left to try"
        raise BundleError(f"{self._bundle.directory}: no variant works here: {reasons}")


def _rank(variant: Variant, milliseconds: float | None) -> tuple[bool, float]:
    return (True, float(variant.mode == "clip")) if milliseconds is None else (False, milliseconds)


def version_numbers(text: str) -> tuple[int, ...]:
    """Return the first three numbers of a version, to be compared.

    >>> version_numbers("0.10.2rc1") > version_numbers("0.9")
    True
    """
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])
