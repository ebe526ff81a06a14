from __future__ import annotations

import sys

import pytest
from edge_helpers import add_variant, brightness_model, edit_manifest

from vedette_edge import benchmark as module
from vedette_edge.__main__ import main
from vedette_edge.benchmark import Benchmark, keep, kept, run_benchmark, stores
from vedette_edge.bundle import open_bundle
from vedette_edge.machine import this_machine
from vedette_edge.manifest import Measured


def cost(p50):
    return Measured(machine="m", threads=1, p50_ms=p50, p95_ms=p50, peak_rss_bytes=1, per_second=1.0)


def result_of(bundle, p50=1.0, threads=0):
    return Benchmark(
        bundle=bundle.digest,
        machine=this_machine(threads),
        measured={"onnx-fp32": cost(p50)},
        refused={"other": "why"},
    )


@pytest.fixture
def bundle(shared_bundle):
    return open_bundle(shared_bundle)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "vedette" / "benchmarks"


# Measuring


def test_each_variant_is_measured_or_refused_with_its_reason(bundle_dir):
    add_variant(bundle_dir, "wrong", brightness_model(bias=-1.0))
    add_variant(bundle_dir, "changed", b"")
    (bundle_dir / "changed.onnx").write_bytes(b"something")
    bundle, seen = open_bundle(bundle_dir), []
    result = run_benchmark(bundle, threads=1, seconds=0, on_progress=lambda *step: seen.append(step))
    assert seen == [("onnx-fp32", 1, 3), ("wrong", 2, 3), ("changed", 3, 3)]
    assert (result.bundle, result.machine) == (bundle.digest, this_machine(1))
    assert result.measured.keys() == {"onnx-fp32"}
    assert 0 < result.measured["onnx-fp32"].p50_ms <= result.measured["onnx-fp32"].p95_ms
    assert "does not give its expected outputs here" in result.refused["wrong"]
    assert "is not the file that manifest.json names" in result.refused["changed"]


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("kill -SEGV $$", "its process ended with code -11: it said nothing"),
        ("echo first >&2; echo last >&2; exit 1", "its process ended with code 1: last"),
        ("exec sleep 60", "it was not measured within 0.2 s"),
    ],
)
def test_a_process_that_fails_does_not_take_the_benchmark_with_it(
    bundle, tmp_path, monkeypatch, program, reason
):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{program}\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(module, "_PATIENCE", 0.2 if "sleep" in program else 10)
    result = run_benchmark(bundle, seconds=0)
    assert (result.measured, result.refused) == ({}, {"onnx-fp32": reason})


# Keeping


def test_what_was_kept_is_found_for_this_bundle_and_machine_alone(bundle, bundle_dir, tmp_path):
    keep(result_of(bundle), tmp_path)
    assert kept([tmp_path / "gone", tmp_path], bundle) == result_of(bundle)
    assert kept([tmp_path], bundle, threads=2) is None
    edit_manifest(bundle_dir, lambda values: values.update(release=2))
    assert kept([tmp_path], open_bundle(bundle_dir)) is None


def test_the_first_directory_that_has_it_counts(bundle, tmp_path):
    for number in (1, 2):
        keep(result_of(bundle, p50=number), tmp_path / str(number))
    for order in ("12", "21"):
        assert kept([tmp_path / one for one in order], bundle) == result_of(bundle, p50=int(order[0]))


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: "",
        lambda text: text[: len(text) // 2],
        lambda _: "[]",
        lambda text: text.replace('"p50_ms": 1.0', '"p50_ms": -1'),
        lambda text: text.replace('"schema_version": 1', '"schema_version": 2'),
        lambda text: text.replace('"cores": ', '"cores": 1'),
        lambda text: text.replace("onnx", "\udcff"),
    ],
)
def test_a_damaged_file_is_as_none(bundle, tmp_path, damage):
    path = keep(result_of(bundle), tmp_path)
    text = damage(path.read_text())
    path.write_bytes(text.encode(errors="surrogateescape"))
    assert kept([tmp_path], bundle) is None
    keep(result_of(bundle), tmp_path)
    assert kept([tmp_path], bundle) == result_of(bundle)


def test_the_agent_looks_into_its_own_directory_before_the_users(tmp_path, own_cache):
    assert stores(tmp_path) == [tmp_path / "benchmarks", own_cache]
    assert stores() == [own_cache]


# The command


def test_the_command_measures_once_and_again_when_told(bundle_dir, own_cache, capsys):
    add_variant(bundle_dir, "wrong", brightness_model(bias=-1.0))
    command = ["benchmark", str(bundle_dir), "--threads", "1"]
    assert main(command) == 0
    printed = capsys.readouterr()
    machine, head, first, second = printed.out.splitlines()
    assert machine.endswith(("core", "cores"))
    assert head.split() == ["per", "p50", "ms", "p95", "ms", "calls/s", "peak", "MiB"]
    assert first.split()[:2] == ["onnx-fp32", "clip"]
    assert len(first.split()) == 6
    assert second.startswith("wrong ")
    assert "does not give its expected outputs here" in second
    assert printed.err.splitlines() == ["measuring onnx-fp32 (1 of 2)", "measuring wrong (2 of 2)"]
    (path,) = own_cache.iterdir()
    before = path.stat().st_mtime_ns
    assert main([*command, "--json"]) == 0
    printed = capsys.readouterr()
    assert Benchmark.model_validate_json(printed.out) == Benchmark.model_validate_json(path.read_text())
    assert printed.err == ""
    assert main([*command, "--again"]) == 0
    assert path.stat().st_mtime_ns > before


def test_a_store_that_cannot_be_written_is_one_sentence_after_the_result(shared_bundle, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["benchmark", str(shared_bundle), "--store", str(tmp_path / "file")]) == 1
    printed = capsys.readouterr()
    assert "onnx-fp32" in printed.out
    assert (
        "cannot keep the result (File exists), so no agent will know it; give another --store" in printed.err
    )


@pytest.mark.parametrize("threads", ["-1", "257", "many"])
def test_an_impossible_number_of_threads_ends_with_2(shared_bundle, threads, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["benchmark", str(shared_bundle), f"--threads={threads}"])
    assert caught.value.code == 2
    assert f"'{threads}' is not a number from 0 to 256" in capsys.readouterr().err
