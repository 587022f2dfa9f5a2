"""Descriptive statistics of a table, small enough to publish next to it. Pure."""

import heapq
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

QUANTILES = (0.01, 0.05, 0.25, 0.50, 0.75, 0.95, 0.99)
TOP = 20


def describe(frame: pd.DataFrame, *, hidden: Iterable[str] = ()) -> dict[str, Any]:
    """Statistics of every column, as values that JSON can hold (what is not a number is None).

    Returns {"rows", "columns": {name: {"kind", "count", "missing", ...}}}, where `count` is the
    number of values present. By kind of column:

    numeric   infinite (counted, left out of the rest), mean, std (n - 1), min, max, `quantiles`
              {"1%": ...}, interpolated linearly, skewness and kurtosis as pandas' `skew` and
              `kurt` define them: corrected for bias (scipy's `bias=False`), kurtosis in excess
              of the normal distribution's 3.
    category  text, booleans and categories: distinct, `top` [[value, share of count], ...] of
              the 20 most frequent (ties by value), `rest` the share of all others.
    time      min and max, ISO 8601.
    hidden    columns named in `hidden` (personal data, ids): nothing but count and missing.

    Names in `hidden` that the table lacks are ignored. Raises ValueError for repeated names.
    """
    names = [str(name) for name in frame.columns]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"column names {sorted(repeated)} repeat: rename them in the raw file")
    concealed = {str(name) for name in hidden}
    columns = (frame.iloc[:, position] for position in range(len(names)))
    return {
        "rows": len(frame),
        "columns": {n: _column(c, n in concealed) for n, c in zip(names, columns, strict=True)},
    }


def _column(column: pd.Series, concealed: bool) -> dict[str, Any]:
    missing = int(column.isna().sum())
    kind, details = ("hidden", {}) if concealed else _details(column)
    return {"kind": kind, "count": len(column) - missing, "missing": missing} | details


def _details(column: pd.Series) -> tuple[str, dict[str, Any]]:
    if types.is_bool_dtype(column.dtype):
        return "category", _category(column)
    if types.is_numeric_dtype(column.dtype):
        return "numeric", _numeric(column.to_numpy(dtype=np.float64, na_value=np.nan))
    if types.is_datetime64_any_dtype(column.dtype):
        low, high = column.min(), column.max()
        return "time", {"min": _moment(low), "max": _moment(high)}
    return "category", _category(column)


def _numeric(values: np.ndarray) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        finite = np.array([np.nan])
    series = pd.Series(finite, copy=False)
    quantiles = np.quantile(finite, QUANTILES).tolist()
    with np.errstate(over="ignore", invalid="ignore"):
        return {
            "infinite": int(np.isinf(values).sum()),
            "mean": _number(series.mean()),
            "std": _number(series.std()),
            "min": _number(finite.min()),
            "quantiles": {
                f"{q:.0%}": _number(v) for q, v in zip(QUANTILES, quantiles, strict=True)
            },
            "max": _number(finite.max()),
            "skewness": _number(series.skew()),
            "kurtosis": _number(series.kurt()),
        }


def _category(column: pd.Series) -> dict[str, Any]:
    counts = column.value_counts()
    counts = counts[counts > 0]
    total = int(counts.sum())
    least = counts.iloc[min(TOP, len(counts)) - 1] if total else 0
    tied = counts[counts >= least]
    pairs = zip(map(str, tied.index), tied.tolist(), strict=True)
    top = heapq.nsmallest(TOP, pairs, key=lambda pair: (-pair[1], pair[0]))
    return {
        "distinct": len(counts),
        "top": [[value, count / total] for value, count in top],
        "rest": (total - sum(count for _, count in top)) / total if total else 0.0,
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _moment(value: pd.Timestamp) -> str | None:
    return None if value is pd.NaT else value.isoformat()
