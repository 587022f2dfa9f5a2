"""How far rows have moved: by distances that others compute alike, and not by chance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millrace.drift import compare, shift


def sides(count: int = 5000) -> tuple[pd.DataFrame, pd.DataFrame]:
    chance = np.random.default_rng(0)
    before = pd.DataFrame({
        "a": chance.normal(size=count),
        "b": chance.choice(["x", "y", "z"], count, p=[0.5, 0.3, 0.2]),
        "c": np.where(chance.random(count) < 0.2, np.nan, chance.exponential(size=count)),
    })  # fmt: skip
    chance.integers(0, 3, count)
    half = count // 2
    now = pd.DataFrame({
        "a": chance.normal(0.2, 1, size=half),
        "b": chance.choice(["x", "y", "w"], half, p=[0.5, 0.4, 0.1]),
        "c": np.where(chance.random(half) < 0.1, np.nan, chance.exponential(1.1, size=half)),
    })  # fmt: skip
    return before, now


def test_distances_are_those_of_evidently() -> None:
    """Evidently 0.7.23 with pandas 2 says 0.22475945513290743, 0.19180146031288187 and
    0.32569879743464397 of these rows (`DataDriftPreset`); for `c` it counts missing values in."""
    before, now = sides()
    a = shift("a", before["a"], now["a"], True)
    b = shift("b", before["b"], now["b"], False)
    assert a.distance == pytest.approx(0.22475945513290743, rel=1e-9)
    assert b.distance == pytest.approx(0.32569879743464397, rel=1e-9)
    assert a.drifted and b.drifted


def test_missing_values_that_come_or_go_are_drift() -> None:
    chance = np.random.default_rng(1)
    before = pd.Series(chance.normal(size=1000))
    now = pd.Series(chance.normal(size=1000)).mask(chance.random(1000) < 0.3)
    found = shift("a", before, now, True)
    assert found.drifted and found.distance < 0.1
    assert (found.missing_before, found.missing_now) == (0.0, pytest.approx(0.3, abs=0.05))
    gone = shift("a", before, pd.Series([np.nan] * 500), True)
    assert gone.drifted and np.isnan(gone.distance)


def test_a_constant_column_and_a_single_label() -> None:
    ones = pd.Series([1.0] * 300)
    assert not shift("a", ones, ones, True).drifted
    assert shift("a", ones, ones + 1, True).drifted
    labels = pd.Series(["x"] * 300)
    assert not shift("b", labels, labels, False).drifted


@given(st.integers(0, 10_000), st.integers(50, 400))
def test_a_small_sample_of_the_same_is_no_drift(seed: int, count: int) -> None:
    """At 5 % over all columns together, an alarm of columns takes three false ones of six."""
    chance = np.random.default_rng(seed)

    def draw(size: int) -> pd.DataFrame:
        return pd.DataFrame({
            **{f"n{i}": chance.normal(size=size) for i in range(3)},
            **{f"l{i}": chance.choice(list("abcd"), size) for i in range(3)},
        })  # fmt: skip

    found = compare(draw(2000), draw(count), {"n0", "n1", "n2"}, [], share=0.5)
    assert not found.alarm


def test_what_has_drifted_furthest_comes_first_and_enough_of_it_is_an_alarm() -> None:
    chance = np.random.default_rng(2)
    before = pd.DataFrame({name: chance.normal(size=3000) for name in "abcde"})
    now = before.assign(c=before["c"] + 0.5, e=before["e"] + 2)
    found = compare(before, now, set("abcde"), [], share=0.4)
    assert [each.name for each in found.columns[:2]] == ["e", "c"]
    assert [each.drifted for each in found.columns] == [True, True, False, False, False]
    assert (found.share, found.alarm, found.rows) == (0.4, True, (3000, 3000))
    assert not compare(before, now, set("abcde"), [], share=0.5).alarm


def test_drifted_predictions_are_an_alarm_by_themselves() -> None:
    chance = np.random.default_rng(3)
    before = pd.DataFrame({"a": chance.normal(size=900), "p": chance.random(900)})
    now = before.assign(p=before["p"] ** 3)
    found = compare(before, now, {"a", "p"}, ["p"], share=1.0)
    assert [each.drifted for each in found.predictions] == [True]
    assert found.alarm and found.share == 0.0
    assert [each.name for each in found.columns] == ["a"]


def test_columns_of_which_every_value_is_another_are_left_out() -> None:
    names = pd.DataFrame({"name": [f"n{i}" for i in range(400)], "b": ["x", "y"] * 200})
    found = compare(names, names.assign(name=names["name"] + "!"), set(), [], share=0.5)
    assert [each.name for each in found.columns] == ["b"]


def test_a_predicted_class_is_compared_however_many_classes_there_are() -> None:
    classes = [f"class {number}" for number in range(60)]
    before = pd.DataFrame({"a": [0.0, 1.0] * 600, "c": classes * 20})
    now = before.assign(c=[classes[0]] * 600 + classes * 10)
    same = compare(before, before, {"a"}, ["c"], share=1.0)
    found = compare(before, now, {"a"}, ["c"], share=1.0)
    assert (same.alarm, found.alarm) == (False, True)
    assert [(each.name, each.kind) for each in found.predictions] == [("c", "label")]
