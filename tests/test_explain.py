"""Contributions as a whole: groups of one-hot columns, names of categories, telling rows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from millrace.explain import Explained, as_text, grouped, ordered, telling_rows

STATE = {
    "features": [
        {"name": "age", "how": "number", "fill": None},
        {"name": "soil", "how": "onehot", "categories": ["clay", "sand"]},
        {"name": "side", "how": "label", "categories": ["left", "right"]},
    ]
}
INPUTS = np.array([[1234.5, 0, 1, 1], [np.nan, 0, 0, -1]])
VALUES = np.array([[0.5, 0.25, -1.0, 0.0], [0.1, 0.2, 0.3, 0.4]])


def explained() -> Explained:
    raw = 2 + VALUES.sum(axis=1)
    return Explained(
        ("age", "soil=clay", "soil=sand", "side"), INPUTS, VALUES, np.full(2, 2.0), raw,
        np.array([0.9, 0.1]),
    )  # fmt: skip


def test_one_hot_columns_are_one_feature_again() -> None:
    found = grouped(explained(), STATE)
    assert found.names == ("age", "soil", "side")
    np.testing.assert_allclose(found.values, [[0.5, -0.75, 0.0], [0.1, 0.5, 0.4]])
    assert found.error < 1e-12
    assert as_text(STATE, found.inputs[0]) == ["1,234", "sand", "right"]
    assert as_text(STATE, found.inputs[1]) == ["missing", "another", "another"]
    assert as_text(STATE, found.inputs[0], ["age", "side"]) == ["hidden", "sand", "hidden"]
    assert [name for name, _ in found.importance()] == ["soil", "age", "side"]


def test_only_what_has_an_order_is_drawn_as_high_or_low() -> None:
    three = {"name": "town", "how": "label", "categories": ["a", "b", "c"]}
    state = {"features": [*STATE["features"], three]}
    whole = grouped(explained(), STATE)
    whole = Explained(
        (*whole.names, "town"), np.column_stack([whole.inputs, [2, 0]]),
        np.column_stack([whole.values, [0, 0]]), whole.expected, whole.raw, whole.probability,
    )  # fmt: skip
    found = ordered(whole, state)
    assert found.names == ("age", "soil (red: sand)", "side (red: right)", "town")
    np.testing.assert_array_equal(
        found.inputs, [[1234.5, 1, 1, np.nan], [np.nan, np.nan, np.nan, np.nan]]
    )
    assert whole.inputs[1, 2] == -1, "the given one stays as it is"


def test_of_several_classes_the_named_one_is_explained() -> None:
    values = np.zeros((2, 1, 3))
    values[0, 0], values[1, 0] = [1, 5, 0], [3, 0, 1]
    expected = np.array([0.1, 0.2, 0.3])
    raw = expected + values.sum(axis=1)
    found = Explained.of({
        "names": np.array(["x"]), "inputs": np.ones((2, 1)), "values": values,
        "expected": expected, "raw": raw, "probability": raw / raw.sum(axis=1, keepdims=True),
    })  # fmt: skip
    assert found.values[:, 0].tolist() == [5, 3]
    assert found.expected.tolist() == [0.2, 0.1]
    assert found.error < 1e-12


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.01, 0.99))
def test_telling_rows_are_there_and_each_once(probability: list[float], threshold: float) -> None:
    rows = telling_rows(np.array(probability), threshold)
    assert len(set(rows.values())) == len(rows) <= 4
    assert probability[rows["the highest prediction"]] == max(probability)
    lowest = [probability[row] for row in rows.values()]
    assert min(lowest) == min(probability)
