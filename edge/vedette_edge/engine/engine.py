"""All models that run here, and whether one of them hangs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType

from vedette_edge.engine.ledger import LedgerFile
from vedette_edge.engine.models import Model

__all__ = ["Engine"]


class Engine(Mapping[str, Model]):
    """The models by name. Close it at the end; else what is inferring then counts as crashed."""

    def __init__(self, models: Mapping[str, Model], ledger: LedgerFile) -> None:
        """Hold models that run, and the ledger that they are written in."""
        self._models = models
        self.ledger = ledger

    def __getitem__(self, name: str) -> Model:
        """Return a model."""
        return self._models[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._models)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._models)

    def __enter__(self) -> Engine:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def stuck(self, now: float) -> tuple[str, str] | None:
        """Return a model whose inference hangs, and a sentence; it is in the ledger then.

        Native code cannot be interrupted: the caller must end the process, with `os._exit`, and be started
        again.

        Args:
            now: `time.monotonic()`.
        """
        for name, model in self._models.items():
            why = model.stuck(now)
            if why:
                self.ledger.note(name, why)
                text = f"model '{name}', variant '{model.variant.name}': {why}; the agent must start again"
                return name, text
        return None

    def close(self) -> None:
        """Say that what runs ends as it should."""
        self.ledger.close()
