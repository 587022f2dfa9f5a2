"""Splitting and fitting: stratified, seeded, independent of row order; fitted on train alone."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millrace.preprocess import MISSING, fit, split, transformed
from millrace.validate import ROW_ID
from tests.orchard import SPEC, checked, orchard, orchard_clean, orchard_rows

QUICK = settings(deadline=None, max_examples=40)


def made_up(rows: int, positive: float = 0.4, *, seed: int = 0) -> pd.DataFrame:
    """Only what a split sees: ids and targets."""
    target = np.zeros(rows, dtype="int8")
    target[: max(2, round(rows * positive))] = 1
    np.random.default_rng(seed).shuffle(target)
    return pd.DataFrame({ROW_ID: [f"r{number}" for number in range(rows)], "bears": target})


def chosen(frame: pd.DataFrame, **options: Any) -> set[str]:
    """Ids of the test split."""
    return set(frame.loc[split(frame, orchard(split={"test": 0.2, **options})), ROW_ID])


@QUICK
@given(
    st.integers(10, 400), st.floats(0.005, 0.6), st.floats(0.05, 0.95), st.integers(0, 99)
)  # fmt: skip
def test_a_split_has_its_share_of_each_class(rows, positive, share, seed):
    frame = made_up(rows, positive)
    is_test = split(frame, orchard(split={"test": share, "seed": seed}))
    assert is_test.dtype == bool
    for label in (0, 1):
        of_class = frame["bears"] == label
        wanted = min(max(1, round(of_class.sum() * share)), of_class.sum() - 1)
        assert is_test[of_class].sum() == wanted  # so both classes stand on both sides


@QUICK
@given(st.integers(10, 200), st.integers(0, 9), st.randoms())
def test_a_split_does_not_depend_on_the_order_of_rows(rows, seed, random):
    frame = made_up(rows)
    order = list(range(rows))
    random.shuffle(order)
    assert chosen(frame, seed=seed) == chosen(frame.iloc[order], seed=seed)


def test_a_split_depends_on_its_seed_alone():
    frame = made_up(1000)
    assert chosen(frame, seed=1) == chosen(frame, seed=1)
    common = len(chosen(frame, seed=1) & chosen(frame, seed=2))
    assert 15 < common < 70  # 40 of 200 by chance


def test_more_rows_move_few_rows_to_the_other_side():
    frame = made_up(2000)
    before, after = chosen(frame.iloc[:1900]), chosen(frame)
    moved = (before ^ after) & set(frame[ROW_ID].iloc[:1900])
    assert len(moved) < 30
    other = frame.assign(bears=np.where(frame.index < 50, 1 - frame["bears"], frame["bears"]))
    untouched = set(frame[ROW_ID].iloc[50:])
    assert len((chosen(other) ^ chosen(frame)) & untouched) < 30


def test_rare_positives_stand_on_both_sides():
    frame = made_up(500, 0.01)
    is_test = frame[ROW_ID].isin(chosen(frame))
    assert (frame.loc[is_test, "bears"].sum(), frame.loc[~is_test, "bears"].sum()) == (1, 4)


@pytest.mark.parametrize("positives", [0, 1])
def test_a_class_that_cannot_be_split_is_an_error(positives):
    frame = made_up(20).assign(bears=[1] * positives + [0] * (20 - positives))
    with pytest.raises(ValueError, match=rf"bears = 'yes' has {positives} usable row"):
        split(frame, orchard())


def frame_of(**columns: list[Any]) -> pd.DataFrame:
    """Clean rows of the orchard with some columns given, the others missing."""
    rows = len(next(iter(columns.values())))
    numbers = {"height", "age"}
    return pd.DataFrame(
        {
            name: pd.Series(
                columns.get(name, [None] * rows), dtype="float64" if name in numbers else "object"
            )
            for name in SPEC["columns"]
        }
    )


def spec_with(features: dict[str, Any] | None = None, **options: dict[str, Any]):
    known = SPEC["columns"]
    columns = {name: {**known[name], **options.get(name, {})} for name in known}
    return orchard(columns=columns, features=features or {})


def feature(state: dict[str, Any], name: str) -> dict[str, Any]:
    return next(item for item in state["features"] if item["name"] == name)


@pytest.mark.parametrize(
    ("impute", "fill"), [("median", 2.0), ("mean", 4.0), ("zero", 0.0), ("keep", None)]
)
def test_numbers_are_filled_as_the_spec_says(impute, fill):
    spec = spec_with(height={"impute": impute})
    train = frame_of(height=[1.0, 2.0, 9.0, None], soil=["clay"] * 4, side=["a"] * 4)
    state = fit(train, spec)
    assert feature(state, "height") == {"name": "height", "how": "number", "fill": fill}
    filled = transformed(state, train)["height"].iloc[3]
    assert np.isnan(filled) if fill is None else filled == fill


def test_numbers_never_seen_are_filled_with_zero():
    assert feature(fit(frame_of(side=["a"]), spec_with()), "age")["fill"] == 0.0


def test_labels_are_filled_with_the_mode_or_a_category_of_their_own():
    train = frame_of(side=["b", "a", "b", "a", None], soil=["sand", None, None, "clay", "sand"])
    state = fit(train, spec_with(soil={"impute": "category"}))
    assert feature(state, "side") == {
        "name": "side", "how": "label", "categories": ["a", "b"], "fill": "a",
    }  # fmt: skip
    assert feature(state, "soil")["categories"] == ["clay", "loam", "sand", MISSING]
    made = transformed(state, train)
    assert made["side"].tolist() == [1, 0, 1, 0, 0]
    assert made["soil=(missing)"].tolist() == [0, 1, 1, 0, 0]


def test_labels_become_one_column_each_or_their_position():
    train = frame_of(soil=["loam", "clay"], side=["west", "east"])
    state = fit(train, spec_with())
    assert list(transformed(state, train)) == [
        "height", "age", "soil=clay", "soil=loam", "soil=sand", "side",
    ]  # fmt: skip
    unseen = transformed(state, frame_of(soil=["rock", None], side=["up", "west"]))
    assert unseen.filter(like="soil").to_numpy().tolist() == [[0, 0, 0], [1, 0, 0]]
    assert unseen["side"].tolist() == [-1, 1]


def test_only_the_most_frequent_labels_are_kept():
    train = frame_of(side=["c", "c", "b", "b", "a", "d"])
    state = fit(train, spec_with(side={"max_categories": 3}))
    assert feature(state, "side")["categories"] == ["a", "b", "c"]


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> pd.DataFrame:
    return orchard_clean(tmp_path_factory.mktemp("orchard"), orchard(), 300)


def test_what_stands_in_the_test_rows_changes_nothing_in_the_state(clean):
    spec = orchard()
    is_test = split(clean, spec)
    state = fit(clean[~is_test], spec)
    changed = clean.copy()
    changed.loc[is_test, "height"] = 1e6
    changed.loc[is_test, "age"] = np.nan
    changed.loc[is_test, ["soil", "side", "gardener"]] = "other"
    assert fit(changed[~split(changed, spec)], spec) == state


def test_the_state_is_json_and_survives_it(clean):
    state = fit(clean, orchard())
    again = json.loads(json.dumps(state, allow_nan=False))
    assert again == state
    pd.testing.assert_frame_equal(transformed(again, clean), transformed(state, clean))


def test_the_target_and_outcomes_are_no_inputs(clean):
    state = fit(clean, orchard())
    assert [item["name"] for item in state["inputs"]] == [
        "height", "age", "soil", "side", "gardener", "plot",
    ]  # fmt: skip
    pd.testing.assert_frame_equal(
        transformed(state, clean.drop(columns=["bears", "harvest", "tree", ROW_ID])),
        transformed(state, clean),
    )


def test_nothing_changes_its_input(clean):
    before = clean.copy(deep=True)
    state = fit(clean, orchard())
    copy = json.dumps(state)
    split(clean, orchard())
    transformed(state, clean)
    pd.testing.assert_frame_equal(clean, before)
    assert json.dumps(state) == copy


@QUICK
@given(st.data())
def test_each_row_is_transformed_for_itself(clean, data):
    state = fit(clean, orchard())
    places = data.draw(st.lists(st.integers(0, len(clean) - 1), min_size=1, max_size=30))
    whole = transformed(state, clean).to_numpy()
    assert np.array_equal(transformed(state, clean.iloc[places]).to_numpy(), whole[places])


@QUICK
@given(st.integers(0, 99))
def test_fitting_does_not_depend_on_the_order_of_rows(clean, seed):
    mixed = clean.sample(frac=1, random_state=seed)
    assert fit(mixed, orchard()) == fit(clean, orchard())


def test_all_numbers_are_finite_where_missing_values_are_filled(tmp_path):
    rows = orchard_rows(60)
    rows.loc[5:9, "age"] = "0"  # a ratio by zero
    result = checked(tmp_path, orchard(), rows)
    made = transformed(fit(result.clean, orchard()), result.clean)
    assert np.isfinite(made.to_numpy()).all()
    assert made.to_numpy().dtype == np.float64
