"""Which variant the agent runs: the one it is told to, or the best that works on this device."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass

from vedette_edge import __version__
from vedette_edge.benchmark import ranked
from vedette_edge.bundle import Bundle
from vedette_edge.config import AUTO
from vedette_edge.errors import BundleError, MissingExtraError, ProofError, RuntimeBackendError
from vedette_edge.manifest import Measured, Variant
from vedette_edge.proof import Difference, check_golden
from vedette_edge.runtimes import Session, open_session

__all__ = ["Proved", "candidates", "open_best"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Proved:
    """A variant that is loaded and reproduced its golden samples.

    Attributes:
        variant: which one.
        session: it, loaded.
        difference: how far it is from the expected outputs.
    """

    variant: Variant
    session: Session
    difference: Difference


def candidates(bundle: Bundle, name: str, measured: Mapping[str, Measured]) -> list[Variant]:
    """Return the variants to try, the best first.

    Args:
        bundle: the model.
        name: of a variant, which is then the only one, or `auto`.
        measured: costs on this device, by the variant's name; without any, the bundle's order holds.

    Raises:
        BundleError: when there is none of that name, or this agent cannot run the model.
    """
    manifest = bundle.manifest
    if _version(manifest.min_agent) > _version(__version__):
        raise BundleError(
            f"{bundle.directory} needs agent {manifest.min_agent} or later, this is {__version__}: upgrade"
        )
    named = bundle.variant(None if name == AUTO else name)
    found = ranked(manifest.variants if name == AUTO else [named], measured, mode="clip")
    if manifest.task != "classify" or not found:
        raise BundleError(
            f"{bundle.directory}, variant '{named.name}': this agent runs task classify in mode clip, "
            f"not {manifest.task} in mode {named.mode}"
        )
    return found


def open_best(bundle: Bundle, name: str, measured: Mapping[str, Measured], *, threads: int) -> Proved:
    """Load the first of the candidates that works here; see `candidates`.

    Raises:
        BundleError: as `candidates`; when a file is missing or changed; when none works, with the reasons.
        VedetteError: when the variant that is named cannot be loaded, or does not prove itself.
    """
    reasons: list[str] = []
    for variant in candidates(bundle, name, measured):
        try:
            session = open_session(bundle, variant, threads=threads)
            proved = Proved(variant, session, check_golden(bundle, variant, session))
        except (MissingExtraError, RuntimeBackendError, ProofError) as error:
            if name != AUTO:
                raise
            reasons.append(f"{variant.name}: {error}")
            continue
        if name == AUTO:
            _tell(variant, measured, reasons)
        return proved
    raise BundleError(f"{bundle.directory}: no variant of mode clip works here: {'; '.join(reasons)}")


def _tell(variant: Variant, measured: Mapping[str, Measured], reasons: list[str]) -> None:
    for reason in reasons:
        _log.warning("passed over, as it does not work here: %s", reason)
    cost = measured.get(variant.name)
    why = f"{cost.p50_ms:g} ms a call, the fastest that works" if cost else "the first that works, unmeasured"
    _log.info("variant '%s' was chosen: %s", variant.name, why)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])
