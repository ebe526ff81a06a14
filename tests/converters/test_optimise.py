"""A search goes on where it was interrupted, and chooses what keeps the budget."""

import json
import shutil

import pytest
from edge_helpers import edit_manifest, write_bundle

from vedette_converters.optimise import Steps, choose, optimise, write_outcome
from vedette_converters.pareto import Budget
from vedette_converters.trials import Search, read_trials
from vedette_edge.bundle import open_bundle
from vedette_edge.errors import DataError, ProofError, UsageError
from vedette_edge.manifest import Measured
from vedette_edge.proof import check_golden
from vedette_edge.runtimes import open_session

RATIOS = (0.0, 0.25, 0.5)
# Accuracy, milliseconds and the drop against the network itself, by precision.
FIGURES = {"fp32": (0.90, 8.0, 0.0), "int8": (0.88, 4.0, 0.02)}
EASY = Budget(max_drop=0.1, latency_ms=100.0, size_mb=1.0)


def search(**changes):
    values = {
        "run": "dense",
        "weights": "0" * 64,
        "ratios": RATIOS,
        "runtimes": ("onnx",),
        "precisions": ("fp32", "int8"),
        "modes": ("clip",),
        "epochs": 1,
        "threads": 0,
        "max_drop": 0.01,
    }
    return Search(**(values | changes))


class Workshop:
    """The three steps in no time; the call number `stop` is interrupted half way through."""

    def __init__(self, template, stop=None, refused=()):
        self.template, self.stop, self.refused = template, stop, refused
        self.done = []

    def _work(self, *what):
        if self.stop == len(self.done):
            self.stop = None
            raise KeyboardInterrupt
        self.done.append(what)

    def prune(self, ratio, out):
        out.mkdir(parents=True, exist_ok=True)
        (out / "started").touch()
        if not (out / "finished").is_file():
            self._work("prune", ratio)
            (out / "finished").touch()

    def convert(self, run, out):
        assert run.name == "dense" or (run / "finished").is_file()
        self._work("convert", run.name)
        if run.name in self.refused:
            raise ProofError(f"{run.name} keeps no bound")
        ratio = float(run.name.partition("-")[2] or 0)
        shutil.copytree(self.template, out)
        edit_manifest(out, lambda values: values.update(variants=variants(values["variants"][0], ratio)))

    def benchmark(self, bundle):
        self._work("benchmark", bundle.name)
        ratio = float(bundle.name.partition("-")[2])
        return {
            f"onnx-{precision}-clip": Measured(
                machine="twin", threads=1, p50_ms=ms * (1 - ratio), p95_ms=ms, peak_rss_bytes=1
            )
            for precision, (_, ms, _) in FIGURES.items()
        }

    @property
    def steps(self):
        return Steps(self.prune, self.convert, self.benchmark)


def variants(model, ratio):
    """Return the variants of a network that lost a tenth of its pruning ratio in accuracy."""
    found = []
    for precision, (accuracy, _, drop) in FIGURES.items():
        value = accuracy - ratio / 10
        interval = {"value": value, "low": 0.0, "high": 1.0, "samples": 100, "split": "test"}
        proof = model["proof"] | {"accuracy": interval, "drop": drop}
        named = {"name": f"onnx-{precision}-clip", "precision": precision}
        found.append(model | named | {"proof": proof})
    return found


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("bundles") / "template")


@pytest.fixture
def dense(tmp_path):
    return tmp_path / "dense"


def outcome_of(directory, trials, budget=EASY):
    outcome = choose(trials, budget)
    write_outcome(directory, outcome, trials)
    return json.loads((directory / "optimise.json").read_text())


def test_every_ratio_becomes_a_run_a_bundle_and_candidates(template, dense, tmp_path):
    workshop = Workshop(template)
    trials = optimise(dense, tmp_path / "out", search(), workshop.steps)
    assert [trial.ratio for trial in trials] == list(RATIOS)
    assert workshop.done[:3] == [("convert", "dense"), ("benchmark", "ratio-0"), ("prune", 0.25)]
    assert [(one.ratio, one.variant) for trial in trials for one in trial.candidates] == [
        (ratio, f"onnx-{precision}-clip") for ratio in RATIOS for precision in FIGURES
    ]
    assert trials[0].reference == pytest.approx(0.90)
    slowest = trials[0].candidates[0]
    assert (slowest.accuracy, slowest.latency_ms) == (0.90, 8.0)
    assert slowest.size_mb == (template / "model.onnx").stat().st_size / 1e6


@pytest.mark.parametrize("stop", range(8))
def test_after_an_interruption_at_any_step_it_goes_on_and_finds_the_same(stop, template, dense, tmp_path):
    at_once, interrupted = tmp_path / "at once", tmp_path / "interrupted"
    expected = Workshop(template)
    trials = optimise(dense, at_once, search(), expected.steps)
    assert len(expected.done) == 8
    workshop = Workshop(template, stop)
    with pytest.raises(KeyboardInterrupt):
        optimise(dense, interrupted, search(), workshop.steps)
    again = optimise(dense, interrupted, search(), workshop.steps)
    assert again == trials
    assert workshop.done == expected.done, "nothing is done twice"
    assert (interrupted / "trials.jsonl").read_bytes() == (at_once / "trials.jsonl").read_bytes()


def test_what_is_done_is_not_done_again(template, dense, tmp_path):
    workshop = Workshop(template)
    first = optimise(dense, tmp_path / "out", search(), workshop.steps)
    done = list(workshop.done)
    assert optimise(dense, tmp_path / "out", search(), workshop.steps) == first
    assert workshop.done == done


def test_a_network_that_cannot_be_converted_is_told_of_and_the_search_goes_on(template, dense, tmp_path):
    workshop = Workshop(template, refused=["ratio-0.25"])
    trials = optimise(dense, tmp_path / "out", search(), workshop.steps)
    assert [bool(trial.candidates) for trial in trials] == [True, False, True]
    assert trials[1].failed == "ratio-0.25 keeps no bound"
    found = outcome_of(tmp_path / "out", trials)
    assert found["failed"] == {"0.25": "ratio-0.25 keeps no bound"}


def test_without_the_dense_network_there_is_nothing_to_compare_with(template, dense, tmp_path):
    with pytest.raises(ProofError, match="dense keeps no bound"):
        optimise(dense, tmp_path / "out", search(), Workshop(template, refused=["dense"]).steps)
    assert read_trials(tmp_path / "out") == []


def test_the_recommended_one_lies_alone_in_a_bundle_that_the_device_accepts(template, dense, tmp_path):
    out = tmp_path / "out"
    trials = optimise(dense, out, search(), Workshop(template).steps)
    # Against the dense network in PyTorch: a tenth of the ratio, and what int8 costs.
    found = outcome_of(out, trials, Budget(max_drop=0.05, latency_ms=5.0, size_mb=1.0))
    chosen = found["recommended"]
    assert (chosen["ratio"], chosen["variant"], chosen["latency_ms"]) == (0.25, "onnx-int8-clip", 3.0)
    assert chosen in found["front"]
    assert found["missed"] == []
    bundle = open_bundle(out / "best")
    (variant,) = bundle.manifest.variants
    assert variant.name == "onnx-int8-clip"
    check_golden(bundle, variant, open_session(bundle, variant))
    assert not any(path.is_symlink() for path in (out / "best").rglob("*"))
    assert (out / "optimise.png").read_bytes().startswith(b"\x89PNG")


def test_another_budget_chooses_anew_among_the_same_trials(template, dense, tmp_path):
    out = tmp_path / "out"
    trials = optimise(dense, out, search(), Workshop(template).steps)
    assert outcome_of(out, trials)["recommended"]["variant"] == "onnx-int8-clip"
    strict = outcome_of(out, trials, Budget(max_drop=0.0, latency_ms=100.0, size_mb=1.0))
    assert strict["recommended"]["variant"] == "onnx-fp32-clip"
    assert open_bundle(out / "best").manifest.variants[0].name == "onnx-fp32-clip"
    none = outcome_of(out, trials, Budget(max_drop=0.0, latency_ms=7.0, size_mb=1.0))
    assert none["recommended"] is None
    assert none["missed"] == ["takes 8.00 ms, 1.00 too much"]
    assert not (out / "best").exists(), "what keeps no budget is not handed out"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"epochs": 3}, "epochs was 1 and is 3"),
        ({"ratios": (0.0, 0.5)}, "ratios was 0.0, 0.25, 0.5 and is 0.0, 0.5"),
        ({"run": "other", "weights": "1" * 64}, "run was dense and is other; weights was 0"),
    ],
)
def test_another_search_in_the_same_folder_is_refused_with_what_differs(
    changes, told, template, dense, tmp_path
):
    optimise(dense, tmp_path / "out", search(), Workshop(template).steps)
    with pytest.raises(UsageError, match=told):
        optimise(dense, tmp_path / "out", search(**changes), Workshop(template).steps)


def test_a_folder_with_something_else_is_refused_and_left_alone(template, dense, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").touch()
    with pytest.raises(UsageError, match="is not empty and holds no search"):
        optimise(dense, tmp_path / "out", search(), Workshop(template).steps)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_damaged_trials_are_told_of(template, dense, tmp_path):
    optimise(dense, tmp_path / "out", search(), Workshop(template).steps)
    path = tmp_path / "out" / "trials.jsonl"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(DataError, match=r"trials\.jsonl: .*choose another --out"):
        optimise(dense, tmp_path / "out", search(), Workshop(template).steps)
