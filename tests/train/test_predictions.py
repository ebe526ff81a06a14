"""predictions.csv reads back as it was written, and nothing else reads back at all."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette_edge.errors import DataError
from vedette_train.predictions import Prediction, predict, read_predictions, write_predictions
from vedette_train.runs import Sample

LABELS = ("left", "rare", "right")


def predictions():
    rows = [("a", "left", (0.75, 0.0, 0.25)), ("a", "right", (0.5, 0.25, 0.25)), ("b", "left", (1.0, 0, 0))]
    return [
        Prediction(Sample(name=f"{label}/{i}.mp4", label=label, group=group), "left", shares)
        for i, (group, label, shares) in enumerate(rows)
    ]


def test_a_prediction_is_the_mean_over_the_windows():
    sample = Sample(name="left/a.mp4", label="left", group="a")
    found = predict(sample, np.array([[0.5, 0.25, 0.25], [0.0, 0.25, 0.75]], np.float32), LABELS)
    assert found == Prediction(sample, "right", (0.25, 0.25, 0.5))
    assert found.probability == 0.5


def test_the_table_has_a_column_for_each_class_and_says_what_was_right(tmp_path):
    write_predictions(tmp_path / "predictions.csv", LABELS, predictions())
    with (tmp_path / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["right"] for row in rows] == ["1", "0", "1"]
    assert [float(row["p_rare"]) for row in rows] == [0, 0.25, 0]
    assert read_predictions(tmp_path / "predictions.csv") == (LABELS, predictions())


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)


@settings(deadline=None)
@given(
    st.lists(names, min_size=2, max_size=4, unique=True),
    st.lists(names, min_size=1, max_size=5, unique=True),
    st.data(),
)
def test_any_names_and_probabilities_come_back(tmp_path_factory, labels, videos, data):
    path = tmp_path_factory.mktemp("table") / "predictions.csv"
    rows = []
    for video in videos:
        weights = np.array(
            data.draw(st.lists(st.integers(1, 99), min_size=len(labels), max_size=len(labels)))
        )
        sample = Sample(name=video, label=data.draw(st.sampled_from(labels)), group=data.draw(names))
        rows.append(predict(sample, weights[np.newaxis] / weights.sum(), labels))
    write_predictions(path, labels, rows)
    found_labels, found = read_predictions(path)
    assert (found_labels, found) == (tuple(labels), rows)


HEADER = "video,label,group,predicted,right,p_left,p_right\n"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"predictions\.csv: not a table of predictions"),
        ("", "not a table of predictions; found the columns"),
        ("a,b\n1,2\n", "not a table of predictions; found the columns a, b"),
        ("video,label,group,predicted,probability,right\nx,left,a,left,0.7,1\n", "has no p_ columns"),
        (HEADER + "x,left,a,left,1,0.7\n", r"line 2: .*expected 7 values, found 6"),
        (HEADER + "x,left,a,left,1,0.7,no\n", r"line 2: .*could not convert.*run  vedette-train evaluate"),
        (HEADER + "x,left,a,left,1,0.7,0.2\n", "x has probabilities that are none"),
        (HEADER + "x,left,a,left,1,1.5,-0.5\n", "x has probabilities that are none"),
        (HEADER + "x,left,a,left,1,nan,nan\n", "x has probabilities that are none"),
        (HEADER + "x,left,a,right,0,0.7,0.3\n", "x has the prediction right, which is not the most probable"),
        (HEADER + "x,up,a,left,1,0.7,0.3\n", "'x' has label 'up' and prediction 'left'"),
        (HEADER + 2 * "x,left,a,left,1,0.7,0.3\n", "line 3: .*x is named twice"),
    ],
)
def test_another_table_is_refused(content, sentence, tmp_path):
    path = tmp_path / "predictions.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=sentence):
        read_predictions(path)
