"""The search for what would turn a verdict: it turns it, and nothing smaller that is tried does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from serving.ui.changes import STEPS, smallest_changes

THRESHOLD = 0.5
RANGE = {"low": -1.0, "high": 3.0, "whole": False}


def steps(at: Sequence[float], heights: Sequence[float]) -> Any:
    """A model of one input that jumps, as trees do."""

    def score(records: Sequence[Mapping[str, Any]]) -> np.ndarray:
        values = [record["x"] for record in records]
        return np.array(heights)[np.searchsorted(np.array(at), values, side="right")]

    return score


jumps = st.integers(0, 6).flatmap(
    lambda count: st.tuples(
        st.lists(st.floats(-1, 3), min_size=count, max_size=count).map(sorted),
        st.lists(st.floats(0, 1), min_size=count + 1, max_size=count + 1),
    )
)


@given(jumps, st.floats(-2, 4))
def test_what_is_found_turns_the_verdict_and_nothing_smaller_that_was_tried_does(
    model: tuple[list[float], list[float]], present: float
) -> None:
    score = steps(*model)
    before = bool(score([{"x": present}])[0] >= THRESHOLD)
    tried = np.linspace(RANGE["low"], RANGE["high"], STEPS + 1)
    turning = tried[(score([{"x": value} for value in tried]) >= THRESHOLD) != before]
    found = smallest_changes({"x": present}, {"x": RANGE}, score, THRESHOLD)
    assert len(found) == bool(turning.size)
    for change in found:
        assert (change.probability >= THRESHOLD) != before
        assert change.probability == score([{"x": change.wanted}])[0]
        assert RANGE["low"] <= change.wanted <= RANGE["high"]
        assert abs(change.wanted - present) <= np.abs(turning - present).min() + 1e-9


@given(st.floats(-1, 3), st.floats(-1, 3))
def test_the_edge_of_a_rising_model_is_found_to_two_digits(edge: float, present: float) -> None:
    score = steps([edge], [0.2, 0.8])
    found = smallest_changes({"x": present}, {"x": RANGE}, score, THRESHOLD)
    if present < edge:
        [change] = found
        assert edge <= change.wanted <= edge + 0.11 * max(abs(edge), 0.1) + 4 / STEPS
    elif edge > RANGE["low"]:
        [change] = found
        assert change.wanted < edge
    else:
        assert not found


def test_whole_numbers_stay_whole() -> None:
    score = steps([1.3], [0.2, 0.8])
    [change] = smallest_changes({"x": 0.0}, {"x": {**RANGE, "whole": True}}, score, THRESHOLD)
    assert change.wanted == 2.0


def by_club(records: Sequence[Mapping[str, Any]]) -> np.ndarray:
    return np.array([{"north": 0.1, "south": 0.6, "east": 0.9}[each["club"]] for each in records])


def test_of_labels_the_clearest_one_is_told() -> None:
    ranges = {"club": ["north", "south", "east"]}
    [change] = smallest_changes({"club": "north"}, ranges, by_club, THRESHOLD)
    assert (change.present, change.wanted, change.probability) == ("north", "east", 0.9)
    [change] = smallest_changes({"club": "south"}, ranges, by_club, THRESHOLD)
    assert change.wanted == "north"
    assert smallest_changes({"club": "south"}, {"club": ["south", "east"]}, by_club, 0.5) == []


def test_what_is_not_known_is_not_changed() -> None:
    def score(records: Sequence[Mapping[str, Any]]) -> np.ndarray:
        return np.array([0.9 if each.get("x") else 0.1 for each in records])

    assert smallest_changes({}, {"x": RANGE}, score, THRESHOLD) == []
    assert smallest_changes({"x": None}, {"x": RANGE}, score, THRESHOLD) == []


def test_the_smallest_change_comes_first() -> None:
    def score(records: Sequence[Mapping[str, Any]]) -> np.ndarray:
        return np.array([float(each["a"] > 9 or each["b"] > 2) for each in records])

    ranges = {name: {"low": 0.0, "high": 10.0, "whole": True} for name in ("a", "b")}
    found = smallest_changes({"a": 0.0, "b": 0.0}, ranges, score, THRESHOLD)
    assert [(each.name, each.wanted) for each in found] == [("b", 3.0), ("a", 10.0)]
