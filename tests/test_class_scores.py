"""Scores of several classes, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from millrace.class_scores import bootstrap_intervals, by_class, confusion, score
from millrace.metrics import CLASS_METRICS


def made(rows: int = 300, classes: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=rows)
    margins = rng.normal(size=(rows, classes))
    margins[np.arange(rows), y] += 1.5
    p = np.exp(margins)
    return y, p / p.sum(axis=1, keepdims=True)


def test_the_scores_are_scikit_learns():
    y, p = made()
    said = p.argmax(axis=1)
    found = score(y, p)
    assert tuple(found) == CLASS_METRICS
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(y, said))
    assert found["top_3_accuracy"] == pytest.approx(metrics.top_k_accuracy_score(y, p, k=3))
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(y, said, average="macro"))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(y, p))
    assert confusion(y, p).tolist() == metrics.confusion_matrix(y, said).tolist()


def test_a_class_without_test_rows_has_no_say_in_macro_f1_unless_it_is_named():
    y, p = np.array([0, 1]), np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1]])
    assert score(y, p)["macro_f1"] == 1
    p[1] = [0.2, 0.1, 0.7]
    assert score(y, p)["macro_f1"] == pytest.approx(1 / 3)


def test_a_tie_is_no_place_among_the_first_three():
    even = np.full((1, 4), 0.25)
    assert score([0], even)["top_3_accuracy"] == 0
    assert score([0], even)["accuracy"] == 1  # the first of equal ones is the answer
    assert score([3], even)["accuracy"] == 0


def test_each_class_by_hand():
    matrix = np.array([[3, 1, 0], [0, 0, 2], [0, 0, 0]])
    first, second, third = by_class(matrix, ["a", "b", "c"])
    assert first == {
        "class": "a", "rows": 4, "precision": 1.0, "recall": 0.75, "f1": pytest.approx(6 / 7),
        "taken_for": "b", "taken_for_rows": 1,
    }  # fmt: skip
    assert (second["precision"], second["recall"], second["taken_for"]) == (0, 0, "c")
    assert (third["rows"], third["recall"], third["taken_for"]) == (0, None, None)


def test_intervals_hold_the_score_and_widen_where_rows_come_in_groups():
    y, p = made(400)
    found, values = bootstrap_intervals(y, p, resamples=300), score(y, p)
    for metric, (low, high) in found.items():
        assert low < values[metric] < high
    again = bootstrap_intervals(np.tile(y, 4), np.tile(p, (4, 1)), resamples=300)
    grouped = bootstrap_intervals(
        np.tile(y, 4), np.tile(p, (4, 1)), list(range(400)) * 4, resamples=300
    )

    def width(interval: tuple[float, float]) -> float:
        return interval[1] - interval[0]

    assert width(again["accuracy"]) < 0.7 * width(found["accuracy"])
    assert width(grouped["accuracy"]) == pytest.approx(width(found["accuracy"]), rel=0.25)
    assert bootstrap_intervals(y, p, resamples=300) == found


@pytest.mark.parametrize(
    ("y", "p", "said"),
    [
        ([0], [[1.0]], "need the shapes"),
        ([0, 1], [[0.5, 0.5]], "need the shapes"),
        ([2], [[0.5, 0.5]], "class numbers from 0 to 1"),
        ([0.5], [[0.5, 0.5]], "class numbers from 0 to 1"),
        ([0], [[0.5, 0.6]], "add up to 1"),
        ([0], [[float("nan"), 0.5]], "from 0 to 1"),
    ],
)
def test_unusable_input_is_refused(y, p, said):
    with pytest.raises(ValueError, match=said):
        score(y, p)
