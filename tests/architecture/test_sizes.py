"""Functions and files stay small enough to read in one sitting."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("edge", "train", "converters", "scripts")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))

FUNCTION_P95, FUNCTION_MOST, FILE_P95 = 45, 80, 500


def functions(path):
    """Yield (lines, where) for each function, methods and nested ones too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.end_lineno - node.lineno + 1, f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"


def p95(sizes):
    ordered = sorted(sizes)
    return ordered[int(0.95 * (len(ordered) - 1))]


def listing(found, bound):
    return "\n".join(f"{size} lines: {where}" for size, where in sorted(found, reverse=True) if size > bound)


@pytest.fixture(scope="module")
def all_functions():
    return [found for path in FILES for found in functions(path)]


def test_the_rooms_are_where_this_test_looks():
    assert {path.relative_to(ROOT).parts[0] for path in FILES} >= {"edge", "train", "converters"}


def test_no_function_is_longer_than_80_lines(all_functions):
    long = listing(all_functions, FUNCTION_MOST)
    assert not long, long


def test_95_of_100_functions_have_at_most_45_lines(all_functions):
    assert p95([size for size, _ in all_functions]) <= FUNCTION_P95, listing(all_functions, FUNCTION_P95)


def test_95_of_100_files_have_at_most_500_lines():
    found = [
        (len(path.read_text(encoding="utf-8").splitlines()), str(path.relative_to(ROOT))) for path in FILES
    ]
    assert p95([size for size, _ in found]) <= FILE_P95, listing(found, FILE_P95)
