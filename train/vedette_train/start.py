"""Where the weights of a training start: at random, published, or of another run; and which stay.

Beside them stands the teacher, whose weights never change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from vedette_edge.errors import ConfigError, DataError
from vedette_train.console import log
from vedette_train.models import Pretrainable, pretrainable
from vedette_train.recipe import Recipe
from vedette_train.runs import INFO_FILE, build_network, open_run
from vedette_train.settings import refuse_unknown_beginnings
from vedette_train.slim.cut import cut, slimming_of
from vedette_train.slim.record import Slimming
from vedette_train.weights import read_state_dict

__all__ = ["freeze", "resumed_network", "starting_network", "teacher_of", "transfer"]


def starting_network(recipe: Recipe, labels: Sequence[str]) -> nn.Module:
    """Build the recipe's network as its training starts.

    Args:
        recipe: its `model` and `init` sections count.
        labels: the classes, in the order of the logits.

    Raises:
        ConfigError: when the network cannot be built, both `init.weights` and `init.run` are given, there are
            no published weights for this network, or `init.freeze` names no layer.
        DataError: when the weights cannot be read or do not fit.
    """
    init = recipe.init
    if init.weights and init.run:
        raise ConfigError(f"recipe '{recipe.name}': init.weights and init.run are both given; keep one")
    network = build_network(recipe, len(labels))
    if init.weights:
        _load_pretrained(network, recipe.model.name, init.weights)
    if init.run:
        state, known, slimming = _weights_of(init.run)
        if slimming:
            cut(network, slimming)
        transfer(network, state, str(init.run), same_classes=known is None or known == tuple(labels))
    freeze(network, init.freeze)
    return network


def resumed_network(recipe: Recipe, labels: Sequence[str], slimming: Slimming) -> nn.Module:
    """Build the network of a training that goes on, as slim as it was; its weights come from the checkpoint.

    Raises:
        ConfigError: as `starting_network`.
        DataError: when the record is of another network.
    """
    network = build_network(recipe, len(labels))
    cut(network, slimming)
    freeze(network, recipe.init.freeze)
    return network


def teacher_of(recipe: Recipe, labels: Sequence[str]) -> nn.Module | None:
    """Return the network of the run that `train.distil` names, frozen, in evaluation mode; None without.

    Raises:
        ConfigError: when it tells other classes apart or takes another input.
        DataError: when the run cannot be read.
    """
    if recipe.train.distil is None:
        return None
    run = open_run(recipe.train.distil.run)
    of_teacher, of_student = run.recipe.data.input.model_dump(), recipe.data.input.model_dump()
    differ = [
        f"input.{key} {of_teacher[key]} there, {value} here"
        for key, value in of_student.items()
        if of_teacher[key] != value
    ]
    if run.info.labels != tuple(labels):
        differ.insert(0, f"labels {', '.join(run.info.labels)} there, {', '.join(labels)} here")
    if differ:
        raise ConfigError(
            f"train.distil.run: {run.directory} cannot teach recipe '{recipe.name}': {'; '.join(differ)}; "
            "name a run with the same labels and input"
        )
    return run.network().requires_grad_(False)


def transfer(network: nn.Module, state: Mapping[str, Tensor], source: str, *, same_classes: bool) -> None:
    """Copy weights into a network; its last linear layer stays random where the classes differ.

    Args:
        network: the new network.
        state: the state dict of a network of the same kind.
        source: where it is from, for messages.
        same_classes: whether both tell the same classes apart; a head of another size never fits.

    Raises:
        DataError: when anything but the last linear layer is missing or of another shape.
    """
    own = network.state_dict()
    head = _head_of(network)
    new_head = not same_classes or any(key in state and state[key].shape != own[key].shape for key in head)
    wanted = {key: value for key, value in own.items() if not (new_head and key in head)}
    wrong = [key for key, value in wanted.items() if key not in state or state[key].shape != value.shape]
    if wrong or set(state) - set(own):
        first = wrong[0] if wrong else min(set(state) - set(own))
        found = tuple(state[first].shape) if first in state else "missing"
        raise DataError(
            f"{source}: these weights are of another network: {first} is {found}, expected "
            f"{tuple(own[first].shape) if first in own else 'no such layer'}; set model as it was there"
        )
    network.load_state_dict(own | {key: state[key] for key in wanted})
    if new_head:
        log(f"{source} knows other classes: its last layer is left out and learnt anew", style="yellow")


def freeze(network: nn.Module, prefixes: Sequence[str]) -> None:
    """Take the parameters whose names begin with one of `prefixes` out of the training.

    Raises:
        ConfigError: when a prefix fits no parameter, or all parameters are frozen; names candidates.
    """
    names = [name for name, _ in network.named_parameters()]
    refuse_unknown_beginnings(names, prefixes, "init.freeze")
    for name, parameter in network.named_parameters():
        if name.startswith(tuple(prefixes)) and prefixes:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ConfigError("init.freeze leaves nothing to train; name fewer layers")


def _load_pretrained(network: nn.Module, name: str, source: str) -> None:
    if not isinstance(network, Pretrainable):
        raise ConfigError(
            f"init.weights: {name} has no published weights to start from; those that have: "
            f"{', '.join(pretrainable())}; weights of {name} itself go into init.run"
        )
    network.load_pretrained(source)


def _head_of(network: nn.Module) -> set[str]:
    """Return the names of the tensors of the last linear layer: the one that knows the classes."""
    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    return {f"{linear[-1]}.weight", f"{linear[-1]}.bias"} if linear else set()


def _weights_of(source: Path) -> tuple[dict[str, Tensor], tuple[str, ...] | None, Slimming | None]:
    """Return the weights of a run or a file, the classes that a run tells apart, and what it lost."""
    if source.is_dir() or (source / INFO_FILE).is_file():
        run = open_run(source)
        network = run.network()
        return dict(network.state_dict()), run.info.labels, slimming_of(network)
    return read_state_dict(source, "a run or a state dict of tensors"), None, None
