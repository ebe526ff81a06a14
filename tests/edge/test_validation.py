from __future__ import annotations

import doctest

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

import vedette_edge.ids
import vedette_edge.sampling
import vedette_edge.topics
import vedette_edge.validation
from vedette_edge.validation import describe_errors


class Lens(BaseModel):
    model_config = ConfigDict(extra="forbid")
    focal: float = 1.0


class Camera(BaseModel):
    model_config = ConfigDict(extra="forbid")
    lenses: tuple[Lens, ...] = ()
    spare: Lens | None = None


def described(values):
    with pytest.raises(ValidationError) as caught:
        Camera.model_validate(values)
    return describe_errors(caught.value, Camera)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"lenses": [{"focla": 1}]}, "lenses.0.focla: unknown key, did you mean 'focal'?"),
        ({"spare": {"fical": 1}}, "spare.fical: unknown key, did you mean 'focal'?"),
        ({"zoom": 1}, "zoom: unknown key, known keys: lenses, spare"),
        ({"spare": {"focal": "far"}}, "spare.focal: Input should be a valid number"),
    ],
)
def test_an_error_names_path_and_nearest_key(values, sentence):
    assert described(values).startswith(sentence)


def test_a_wrong_whole_is_called_the_file():
    assert described([]).startswith("the file: ")


@pytest.mark.parametrize(
    "module", [vedette_edge.validation, vedette_edge.sampling, vedette_edge.topics, vedette_edge.ids]
)
def test_the_examples_in_docstrings_hold(module):
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0
