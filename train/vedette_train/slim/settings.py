"""What a recipe says of removing channels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vedette_train.settings import Section

__all__ = ["Ratio", "SlimSettings"]

Ratio = Annotated[float, Field(ge=0, lt=1)]


class SlimSettings(Section):
    """Which channels leave the network before it is trained."""

    ratio: Ratio = Field(0.5, description="Share of the channels that leaves.")
    scope: Literal["global", "layer"] = Field(
        "global",
        description="global: the least important of all layers, measured against their layer's mean. layer: "
        "the same share of each.",
    )
    importance: Literal["l1", "l2", "taylor", "bn"] = Field(
        "l2",
        description="l1, l2: norm of all weights that leave with a channel [Li et al. 2017, Fang et al. "
        "2023]. taylor: how much the loss would change, to first order [Molchanov et al. 2019]. bn: scale of "
        "the batch norm behind it [Liu et al. 2017]; where there is none, l2.",
    )
    round_to: int = Field(1, ge=1, description="Widths become multiples of this, which 8 makes fast.")
    max_ratio: Ratio = Field(0.9, description="The most that leaves any one layer; one channel stays.")
    keep: tuple[str, ...] = Field((), description="Beginnings of names of layers that keep their width.")
    batches: int = Field(
        8, ge=1, description="Training batches for taylor's gradients, and for batch norm's new statistics."
    )

    @model_validator(mode="after")
    def _can_be_reached(self) -> SlimSettings:
        if self.ratio > self.max_ratio:
            raise ValueError(f"ratio {self.ratio:g} is above max_ratio {self.max_ratio:g}")
        return self
