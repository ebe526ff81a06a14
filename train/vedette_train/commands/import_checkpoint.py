"""`vedette-train import-checkpoint`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from vedette_edge.errors import ConfigError, DataError, UsageError
from vedette_train.console import console, log

if TYPE_CHECKING:
    from torch import Tensor, nn

    from vedette_train.models.published import Mapped

__all__ = ["app"]

app = typer.Typer()


@app.command(
    "import-checkpoint",
    epilog="Example:  vedette-train import-checkpoint model_proposed.pth --model ds3d_fgattnet "
    "--labels NonFight,Fight --out fgattnet.pt",
)
def import_checkpoint(
    file: Annotated[Path, typer.Argument(help="A checkpoint of PyTorch.")],
    out: Annotated[Path, typer.Option(help="The file to write, for init.run.")],
    model: Annotated[str, typer.Option(help="A network's name, as model.name of a recipe.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An argument of it: hidden=64")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="Its classes in their order, a,b,...: then they are sorted, as folders are."),
    ] = None,
) -> None:
    """Put weights that were published elsewhere into a network of ours.

    Layers are matched by order, kind and shape, so other names do not matter; what does not fit is refused.
    Writes a plain state dict: train on from it with --set init.run=FILE.
    """
    if out.exists():
        raise UsageError(f"{out} is there already; choose another --out")
    import torch

    from vedette_train.models.published import import_weights, read_checkpoint, reorder_classes
    from vedette_train.runs import save_state

    state = read_checkpoint(file)
    network, example = _network(model, _arguments(set_ or []), state)
    mapped = import_weights(network, state, str(file))
    with torch.inference_mode():
        if not torch.isfinite(network(example)).all():
            raise DataError(f"{file}: with these weights the network gives NaN or infinity")
    order = reorder_classes(network, labels.split(","), example) if labels else None
    _print(file, model, mapped)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_state(out, network)
    log(f"wrote {out}" + (f", classes {', '.join(order)}" if order else ""))


def _arguments(pairs: list[str]) -> dict[str, Any]:
    arguments = {}
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not separator or not key:
            raise ConfigError(f"--set {pair}: expected key=value, such as hidden=64")
        try:
            arguments[key] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {pair}: the value is not YAML ({error})") from error
    return arguments


def _network(name: str, arguments: dict[str, Any], state: dict[str, Tensor]) -> tuple[nn.Module, Tensor]:
    """Return the network in evaluation mode, and a clip that it takes."""
    import torch

    from vedette_train.models import create_model, takes
    from vedette_train.models.published import class_count

    if "num_classes" not in arguments and (classes := class_count(state)):
        arguments["num_classes"] = classes
    try:
        network = create_model(name, **arguments).eval()
        channels, frames = takes(name, **arguments)
    except ValueError as error:
        raise ConfigError(f"--model {name}: {error}") from error
    return network, torch.zeros(1, channels, frames, 64, 64)


def _print(file: Path, model: str, mapped: list[Mapped]) -> None:
    from rich.table import Table

    table = Table(title=f"{file} as {model}", title_justify="left")
    for column in ("in the file", "in the network", "kind", "weight"):
        table.add_column(column, overflow="fold")
    for pair in mapped:
        shape = pair.ours.shapes.get("weight", ())
        table.add_row(pair.theirs.name, pair.ours.name, pair.ours.kind, "x".join(map(str, shape)))
    console.print(table)
