"""Weights that were published elsewhere, put into a network of ours.

Other code calls its layers by other names, so layers are matched by structure: both networks are walked in
the order in which their modules were made, and each layer must meet one of the same kind and shapes. What
does not fit is refused with the first difference. The result is a plain state dict under our names: what a
run's `model.pt` is, and what `init.run` reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import torch
from torch import Tensor, nn

from vedette_edge.errors import DataError, UsageError

__all__ = [
    "Layer",
    "Mapped",
    "class_count",
    "import_weights",
    "layers_of",
    "read_checkpoint",
    "reorder_classes",
]

_WRAPPERS = ("model_state_dict", "state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.")  # of nn.DataParallel and torch.compile
_PRUNED = re.compile(r"(.*(?:weight|bias))_(orig|mask)")
_COUNTER = "num_batches_tracked"  # old files lack it, and nothing reads it
_KINDS = {2: "linear", 3: "convolution 1D", 4: "convolution 2D", 5: "convolution 3D"}


@dataclass(frozen=True, slots=True)
class Layer:
    """One module that holds tensors.

    Attributes:
        name: its path in the network, without a final dot.
        tensors: by the name that the module gives them: `weight`, `bias`, ...
    """

    name: str
    tensors: dict[str, Tensor]

    @property
    def kind(self) -> str:
        """What it is, as far as its tensors tell."""
        if "running_mean" in self.tensors:
            return "batch norm"
        weight = self.tensors.get("weight")
        return _KINDS.get(weight.ndim, "layer") if weight is not None else "layer"

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor that counts."""
        return {name: tuple(tensor.shape) for name, tensor in self.tensors.items() if name != _COUNTER}

    def __str__(self) -> str:
        """Name, kind and shapes, for a message."""
        shapes = ", ".join(f"{name} {shape}" for name, shape in sorted(self.shapes.items()))
        return f"{self.name or 'the root'} ({self.kind}: {shapes})"


@dataclass(frozen=True, slots=True)
class Mapped:
    """A layer of the file and the layer of ours that it became."""

    theirs: Layer
    ours: Layer


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read a state dict, or a dict that holds one, with masks of `torch.nn.utils.prune` multiplied in.

    Raises:
        DataError: when the file cannot be read without running code, holds no state dict or several, lacks
            one half of a mask, or holds NaN or infinity.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises what its unpickler meets
        raise DataError(
            f"{path}: cannot be read as tensors alone ({str(error).splitlines()[0]}); where it holds other "
            "objects, save its state dict by itself"
        ) from error
    state = _without_masks(_without_prefix(_unwrapped(content, path)), path)
    broken = [name for name, tensor in state.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise DataError(f"{path}: {len(broken)} tensors hold NaN or infinity, first {broken[0]}")
    return state


def _unwrapped(content: object, path: Path) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        raise DataError(f"{path}: expected a state dict, found {type(content).__name__}")
    if _is_state(content):
        return dict(content)
    found = [key for key in _WRAPPERS if _is_state(content.get(key))]
    if len(found) != 1:
        keys = ", ".join(sorted(map(str, content))[:8]) or "nothing"
        what = f"several state dicts ({', '.join(found)})" if found else f"no state dict, but {keys}"
        raise DataError(f"{path}: expected a state dict or one of {', '.join(_WRAPPERS)}, found {what}")
    return dict(content[found[0]])


def _is_state(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(key, str) and isinstance(tensor, Tensor) for key, tensor in value.items())
    )


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in state):
            return _without_prefix({key.removeprefix(prefix): tensor for key, tensor in state.items()})
    return state


def _without_masks(state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    folded = {}
    for key, tensor in state.items():
        match = _PRUNED.fullmatch(key)
        if match is None:
            folded[key] = tensor
            continue
        name, half = match.groups()
        partner = state.get(f"{name}_{'mask' if half == 'orig' else 'orig'}")
        if partner is None or partner.shape != tensor.shape:
            raise DataError(f"{path}: {key} has no partner of its shape; both _orig and _mask are needed")
        folded[name] = tensor * partner
    return folded


def layers_of(state: Mapping[str, Tensor]) -> list[Layer]:
    """Return the layers of a state dict in the order in which they first appear."""
    layers: dict[str, dict[str, Tensor]] = {}
    for key, tensor in state.items():
        name, _, kind = key.rpartition(".")
        layers.setdefault(name, {})[kind] = tensor
    return [Layer(name, tensors) for name, tensors in layers.items()]


def class_count(state: Mapping[str, Tensor]) -> int | None:
    """Return how many classes a checkpoint's last linear layer tells apart; None where there is none."""
    linear = [layer for layer in layers_of(state) if layer.kind == "linear"]
    return len(linear[-1].tensors["weight"]) if linear else None


def import_weights(network: nn.Module, state: Mapping[str, Tensor], source: str) -> list[Mapped]:
    """Put a checkpoint's weights into a network.

    Args:
        network: gets the weights, in place.
        state: the checkpoint's state dict; names do not matter, order does.
        source: where it is from, for messages.

    Returns:
        What became what, in order.

    Raises:
        DataError: when a layer is missing, too many, or of another kind or shape, or the file's order is not
            that of a network; names the first difference.
    """
    own = network.state_dict()
    theirs, ours = layers_of(state), layers_of(own)
    if {layer.name for layer in theirs} == {layer.name for layer in ours}:
        by_name = {layer.name: layer for layer in theirs}
        theirs = [by_name[layer.name] for layer in ours]
    else:
        _check_order(theirs, source)
    mapped = [
        Mapped(*_checked(pair, number, source)) for number, pair in enumerate(zip_longest(theirs, ours), 1)
    ]
    for pair in mapped:
        for name, tensor in pair.theirs.tensors.items():
            own[".".join(filter(None, (pair.ours.name, name)))] = tensor
    network.load_state_dict(own)
    return mapped


def _checked(pair: tuple[Layer | None, Layer | None], number: int, source: str) -> tuple[Layer, Layer]:
    theirs, ours = pair
    if theirs is None or ours is None or (theirs.kind, theirs.shapes) != (ours.kind, ours.shapes):
        raise DataError(
            f"{source}: layer {number} is {theirs or 'missing'}, the network expects {ours or 'no more'}; "
            "choose the --model and --set that it was trained with"
        )
    return theirs, ours


def _check_order(layers: Iterable[Layer], source: str) -> None:
    """Refuse files whose numbered layers do not ascend: they were sorted by name, and equal shapes would mix.

    Raises:
        DataError: names the two layers.
    """
    last: dict[str, tuple[int, str]] = {}
    for layer in layers:
        for match in re.finditer(r"(?:^|\.)(\d+)(?=\.|$)", layer.name):
            parent, index = layer.name[: match.start(1)], int(match[1])
            before, name = last.get(parent, (0, ""))
            if index < before:
                raise DataError(
                    f"{source}: {layer.name} comes after {name}, so the layers are not in the network's "
                    "order and cannot be told apart; save the state dict as the network gives it"
                )
            last[parent] = (index, layer.name)


def reorder_classes(network: nn.Module, theirs: Sequence[str], example: Tensor) -> list[str]:
    """Bring a network's classes into alphabetical order, the order of a folder of classes.

    Args:
        network: in evaluation mode; its last linear layer is changed in place.
        theirs: the classes in the order of its logits now.
        example: a clip, (N, C, T, H, W), on which the result is checked.

    Returns:
        The classes in their new order.

    Raises:
        UsageError: when these are not as many names as logits, a name is given twice, or the network's last
            linear layer is not the only one that knows the classes.
    """
    with torch.no_grad():
        before = network(example)
        if len(theirs) != before.shape[1] or len(set(theirs)) != len(theirs):
            raise UsageError(
                f"--labels names {', '.join(theirs)}; expected {before.shape[1]} different names, one a logit"
            )
        order = sorted(range(len(theirs)), key=lambda index: theirs[index])
        head = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
        for parameter in head.parameters():
            parameter.copy_(parameter[order].clone())
        if not torch.allclose(network(example), before[:, order], atol=1e-5):
            raise UsageError("--labels: this network has several last layers, its classes keep their order")
    return [theirs[index] for index in order]
