"""The statistics agree with pandas and scipy, serialise, and never show hidden values."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from millrace.describe import describe

QUICK = settings(deadline=None, max_examples=40)
NUMBERS = st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), max_size=30)
TEXTS = st.lists(st.text(max_size=5) | st.none(), max_size=60)


def column(values, **options) -> dict:
    return describe(pd.DataFrame({"x": values}), **options)["columns"]["x"]


@QUICK
@given(NUMBERS)
def test_numbers_agree_with_pandas_and_scipy(values):
    series = pd.Series(values, dtype=float)
    got, present = column(series), series.dropna()
    json.dumps(got, allow_nan=False)
    assert (got["kind"], got["count"], got["missing"]) == (
        "numeric",
        present.size,
        series.isna().sum(),
    )
    if present.size:
        assert got["mean"] == pytest.approx(present.mean())
        assert (got["min"], got["max"]) == (present.min(), present.max())
        assert got["quantiles"]["5%"] == pytest.approx(present.quantile(0.05))
        assert list(got["quantiles"]) == ["1%", "5%", "25%", "50%", "75%", "95%", "99%"]
    else:
        assert got["mean"] is got["max"] is got["quantiles"]["50%"] is None


def test_shape_is_corrected_for_bias():
    values = np.random.default_rng(0).lognormal(size=500)
    got = column(values)
    assert got["skewness"] == pytest.approx(stats.skew(values, bias=False))
    assert got["kurtosis"] == pytest.approx(stats.kurtosis(values, bias=False))
    assert got["std"] == pytest.approx(values.std(ddof=1))


def test_infinite_values_are_counted_and_left_out():
    got = column([1.0, np.inf, 3.0, -np.inf, np.nan])
    assert (got["count"], got["missing"], got["infinite"]) == (4, 1, 2)
    assert (got["mean"], got["min"], got["max"]) == (2, 1, 3)


@pytest.mark.parametrize("dtype", ["int8", "Int64", "float32", "Float64"])
def test_every_number_type_is_numeric(dtype):
    got = column(pd.Series([1, 2, 4], dtype=dtype))
    assert (got["kind"], got["max"], got["missing"]) == ("numeric", 4, 0)


@QUICK
@given(TEXTS)
def test_categories_add_up(values):
    got = column(pd.Series(values, dtype=object))
    present = [value for value in values if value is not None]
    assert (got["count"], got["distinct"]) == (len(present), len(set(present)))
    assert len(got["top"]) == min(20, len(set(present)))
    total = sum(share for _, share in got["top"]) + got["rest"]
    assert total == pytest.approx(1 if present else 0)
    for value, share in got["top"]:
        assert share == pytest.approx(present.count(value) / len(present))


@QUICK
@given(TEXTS, NUMBERS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(texts, numbers, random):
    rows = min(len(texts), len(numbers))
    frame = pd.DataFrame({"t": texts[:rows], "n": np.array(numbers[:rows], dtype=float)})
    shuffled = frame.iloc[random.sample(range(rows), rows)]
    straight, got = describe(frame)["columns"], describe(shuffled)["columns"]
    assert straight["t"] == got["t"]
    for name in ("min", "max", "quantiles", "count"):
        assert straight["n"][name] == got["n"][name]


def test_the_top_twenty_and_ties_by_value():
    values = [f"v{i:02}" for i in reversed(range(30))] * 2 + ["often"] * 3
    got = column(values)
    assert [value for value, _ in got["top"]] == ["often"] + [f"v{i:02}" for i in range(19)]
    assert got["rest"] == pytest.approx(22 / 63)


def test_other_kinds_of_column():
    frame = pd.DataFrame(
        {
            "flag": [True, False, True],
            "kind": pd.Categorical(["a", "a", None], categories=["a", "unused"]),
            "day": pd.to_datetime(["2024-01-02", None, "2024-01-01"]),
            "nothing": [None, None, None],
        }
    )
    got = describe(frame)
    json.dumps(got, allow_nan=False)
    columns = got["columns"]
    assert columns["flag"]["top"][0] == ["True", pytest.approx(2 / 3)]
    assert (columns["kind"]["distinct"], columns["kind"]["top"]) == (1, [["a", 1.0]])
    assert columns["day"]["min"] == "2024-01-01T00:00:00"
    assert columns["nothing"]["missing"] == 3


def test_an_empty_table():
    frame = pd.DataFrame(
        {"n": pd.Series(dtype=float), "t": pd.Series(dtype=str), "d": pd.Series(dtype="M8[ns]")}
    )
    got = describe(frame)
    json.dumps(got, allow_nan=False)
    assert got["rows"] == 0 and got["columns"]["t"]["top"] == []
    assert describe(pd.DataFrame()) == {"rows": 0, "columns": {}}


@QUICK
@given(st.lists(st.integers(10**8, 10**9).map(lambda i: f"Q{i}"), min_size=1, max_size=20))
def test_hidden_columns_show_counts_only(secrets):
    frame = pd.DataFrame(
        {"phone": [f"+{s}" for s in secrets], "id": secrets, "age": range(len(secrets))}
    )
    got = describe(frame, hidden={"phone", "id", "not there"})
    assert got["columns"]["id"] == {"kind": "hidden", "count": len(secrets), "missing": 0}
    assert not any(secret in json.dumps(got) for secret in secrets)


def test_repeated_names_are_refused():
    with pytest.raises(ValueError, match=r"\['a'\] repeat: rename them"):
        describe(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_the_table_is_left_as_it_was():
    frame = pd.DataFrame({"n": [1.0, np.inf, np.nan], "t": ["a", None, "b"]})
    before = frame.copy(deep=True)
    describe(frame, hidden=["t"])
    pd.testing.assert_frame_equal(frame, before)
