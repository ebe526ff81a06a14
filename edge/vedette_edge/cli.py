"""The command line of the device: `edge-agent run`, `check-config`, `watch`, and others."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from vedette_edge import __version__
from vedette_edge.agent import run_agent
from vedette_edge.benchmark import Benchmark, keep, kept, run_benchmark, stores
from vedette_edge.broker import parse_address
from vedette_edge.bundle import Bundle, open_bundle
from vedette_edge.choice import candidates
from vedette_edge.commands import doctor, install, ota, provision, send, status, tune
from vedette_edge.commands.broker import add_broker_options, broker_of_options
from vedette_edge.config import AgentConfig, ModelConfig, Threads, check_cameras, load_config
from vedette_edge.errors import ConfigError, DataError
from vedette_edge.logs import configure_logs
from vedette_edge.ota.bundles import resolved
from vedette_edge.topics import Identifier, Topics
from vedette_edge.watch import Ending, Reader, Record, watch

__all__ = ["run_command"]

_DEFAULT_BROKER = "127.0.0.1:1883"


def run_command(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says.

    Raises:
        VedetteError: when it cannot be done.
        SystemExit: after --help and --version (0), and for arguments that are not understood (2).
    """
    options = _make_parser().parse_args(arguments)
    options.command(options)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edge-agent",
        description="Watches cameras with a trained model, and tells the control room over MQTT.",
        epilog="example: edge-agent run --config /etc/edge-agent.yaml",
    )
    parser.add_argument("--version", action="version", version=f"edge-agent {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_check_config(commands)
    _add_watch(commands)
    _add_benchmark(commands)
    tune.add_parser(commands)
    provision.add_parser(commands)
    install.add_parsers(commands)
    send.add_parser(commands)
    status.add_parser(commands)
    ota.add_parser(commands)
    doctor.add_parser(commands)
    return parser


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = commands.add_parser(
        "run",
        help="watch the cameras of a configuration",
        description="Watches until it gets SIGTERM, or until all sources were files and have ended.",
        epilog="example: edge-agent run --config demo.yaml --embedded-broker --scores scores.jsonl",
    )
    run.add_argument("--config", type=Path, required=True, metavar="FILE", help="the configuration, YAML")
    run.add_argument(
        "--embedded-broker",
        nargs="?",
        const=_DEFAULT_BROKER,
        metavar="HOST:PORT",
        help=f"run a broker of our own, for demonstrations, on loopback (default: {_DEFAULT_BROKER})",
    )
    run.add_argument("--scores", type=Path, metavar="FILE", help="write one JSON line a window to FILE")
    run.add_argument(
        "--log", choices=("human", "json"), default="human", help="form of the log on standard error"
    )
    run.set_defaults(command=_run)


def _add_check_config(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    check = commands.add_parser(
        "check-config",
        help="say whether a configuration is right",
        description="Checks a configuration, and that it fits its bundle where that is there.",
        epilog="example: edge-agent check-config /etc/edge-agent.yaml",
    )
    check.add_argument("config", type=Path, metavar="FILE", help="the configuration, YAML")
    check.set_defaults(command=_check_config)


def _add_watch(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "watch",
        help="show alerts as they come",
        description="Subscribes to events, pictures and states, and shows them.",
        epilog="example: edge-agent watch --json --save pictures --until-disconnect",
    )
    parser.add_argument("--site", default="+", type=_topic_part, help="only this site")
    parser.add_argument("--node", default="+", type=_topic_part, help="only this node")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--save", type=Path, metavar="DIR", help="keep the pictures there")
    parser.add_argument(
        "--wait", type=float, default=5.0, metavar="S", help="for a broker to come (default: %(default)s)"
    )
    parser.add_argument("--count", type=int, metavar="N", help="end after N events")
    parser.add_argument("--until-idle", type=float, metavar="S", help="end after S seconds of silence")
    parser.add_argument("--until-disconnect", action="store_true", help="end when a node says goodbye")
    parser.add_argument("--timeout", type=float, metavar="S", help="end after S seconds in any case")
    add_broker_options(parser)
    parser.set_defaults(command=_watch)


def _add_benchmark(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "benchmark",
        help="measure the variants of a model on this device",
        description="Measures each variant of a bundle in a process of its own, and keeps the result. An "
        "agent whose configuration has the same threads, and names no variant, then runs the fastest.",
        epilog="example: edge-agent benchmark bundle --threads 2 --store /var/lib/edge-agent/benchmarks",
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="directory that vedette-convert wrote")
    parser.add_argument(
        "--threads", type=_threads, default=0, metavar="N", help="of one call (default: the runtime's choice)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--again", action="store_true", help="measure also where there is a result")
    parser.add_argument(
        "--store", type=Path, default=stores()[0], metavar="DIR", help="keep it there (default: %(default)s)"
    )
    parser.set_defaults(command=_benchmark)


def _threads(text: str) -> int:
    try:
        return TypeAdapter(Threads).validate_json(text)
    except ValidationError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 0 to 256") from None


def _topic_part(text: str) -> str:
    """Refuse what would make another topic than one of ours."""
    try:
        return text if text == "+" else TypeAdapter(Identifier).validate_python(text)
    except ValidationError:
        raise argparse.ArgumentTypeError(f"'{text}' is not of a-z, 0-9 and hyphens") from None


def _run(options: argparse.Namespace) -> None:
    configure_logs(options.log)
    given = options.embedded_broker
    embedded = None if given is None else parse_address(given, loopback=True)
    run_agent(options.config, scores=options.scores, embedded=embedded)


def _check_config(options: argparse.Namespace) -> None:
    written = load_config(options.config)
    try:
        config = resolved(written)
    except ConfigError as error:
        print(f"{options.config}: right, but {error}")
        return
    cameras = f"{len(config.cameras)} camera(s)"
    models = config.every_model
    bundles = {name: open_bundle(model.bundle) for name, model in models.items() if model.bundle.exists()}
    check_cameras(config, {name: bundle.manifest for name, bundle in bundles.items()})
    missing = [str(model.bundle) for model in models.values() if not model.bundle.exists()]
    if missing:
        print(f"{options.config}: right, {cameras}; its bundle {missing[0]} is not there, not checked")
        return
    chosen = "; ".join(_chosen(config, model, bundles[name]) for name, model in models.items())
    print(f"{options.config}: right, {cameras}, {chosen}")


def _chosen(config: AgentConfig, model: ModelConfig, bundle: Bundle) -> str:
    benchmark = kept(stores(config.state_dir), bundle, model.threads)
    found = candidates(bundle, model.variant, benchmark.measured if benchmark else {}, mode=model.mode)
    names = ", else ".join(f"'{variant.name}'" for variant in found)
    return f"model '{bundle.manifest.name}', variant {names}"


def _watch(options: argparse.Namespace) -> None:
    ending = Ending(options.count, options.until_idle, options.until_disconnect, options.timeout)

    def show(record: Record) -> None:
        print(json.dumps(record.data) if options.json else record.line, flush=True)

    watch(
        broker_of_options(options),
        Topics(options.site, options.node),
        Reader(options.save),
        show,
        ending,
        patience=options.wait,
    )
    sys.stdout.flush()


def _benchmark(options: argparse.Namespace) -> None:
    bundle = open_bundle(options.bundle)
    known = None if options.again else kept([options.store], bundle, options.threads)
    benchmark = known or run_benchmark(bundle, threads=options.threads, on_progress=_progress)
    print(benchmark.model_dump_json(indent=2) if options.json else _table(bundle, benchmark))
    if known is None:
        _keep(benchmark, options.store)


def _progress(name: str, number: int, count: int) -> None:
    print(f"measuring {name} ({number} of {count})", file=sys.stderr, flush=True)


def _keep(benchmark: Benchmark, store: Path) -> None:
    try:
        keep(benchmark, store)
    except OSError as error:
        why = f"cannot keep the result ({error.strerror}), so no agent will know it"
        raise DataError(f"{store}: {why}; give another --store") from error


def _table(bundle: Bundle, benchmark: Benchmark) -> str:
    """Return the costs, the fastest clip first, then the streams, then why others cannot be used."""
    modes = {variant.name: variant.mode for variant in bundle.manifest.variants}
    width = max(map(len, modes))
    lines = [str(benchmark.machine), f"{'':{width}}  per      p50 ms    p95 ms   calls/s  peak MiB"]
    for name, cost in sorted(benchmark.measured.items(), key=lambda pair: (modes[pair[0]], pair[1].p50_ms)):
        call = "clip" if modes[name] == "clip" else "frame"
        costs = (cost.p50_ms, cost.p95_ms, cost.per_second or 0.0, cost.peak_rss_bytes / 2**20)
        lines.append(f"{name:{width}}  {call:5}" + "".join(f"  {value:8.2f}" for value in costs))
    return "\n".join([*lines, *(f"{name:{width}}  {reason}" for name, reason in benchmark.refused.items())])
