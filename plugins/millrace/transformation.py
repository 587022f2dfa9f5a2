"""The fitted transformation: from raw columns to the numbers a model sees.

This file travels with every model and runs wherever predictions are made, so it needs only numpy
and pandas, and Python 3.9. The fitted state is plain JSON (`preprocess.fit` makes it):

    inputs      the raw columns, each `number` or `text`
    engineered  features made from them, in order
    features    what the model sees: `number` (with the fill for missing values), `label`
                (position in `categories`, -1 when unseen) or `onehot` (a column a category, all 0
                when unseen)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

Columns = Mapping[str, np.ndarray]  # float64 with NaN for numbers, object with None for text


def columns_of(state: Mapping[str, Any], frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """The raw columns of a frame as arrays, shape (rows,).

    Raises:
        ValueError: a column is absent, or holds text where numbers are needed.
    """
    missing = [item["name"] for item in state["inputs"] if item["name"] not in frame]
    if missing:
        raise ValueError(f"the input lacks the columns {missing}; it has {list(frame.columns)}")
    return {item["name"]: as_array(frame[item["name"]], item) for item in state["inputs"]}


def as_array(values: Any, item: Mapping[str, str]) -> np.ndarray:
    """One raw column as an array: missing values are NaN in numbers and None in text."""
    if item["type"] == "number":
        try:
            return np.asarray(pd.to_numeric(pd.Series(values)), dtype="float64")
        except (ValueError, TypeError):
            raise ValueError(
                f"the column {item['name']!r} must hold numbers: {_first_other(values)}"
            ) from None
    column = pd.Series(values, dtype="object")
    if pd.api.types.infer_dtype(column) not in ("string", "empty"):
        column = column.map(_as_text).astype("object")
    return column.where(column.notna() & (column != ""), None).to_numpy()


def _first_other(values: Any) -> str:
    """Which value is no number, for an error message; rows count from 1."""
    for row, value in enumerate(values, start=1):
        try:
            float(pd.to_numeric(value))
        except (ValueError, TypeError):
            return f"row {row} has {str(value)[:50]!r}"
    return "together they are none"


def _as_text(value: Any) -> Any:
    """A label that came as a number, as JSON may have it, is the number's text: 3 -> '3'."""
    if isinstance(value, str) or pd.isna(value):
        return value
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value)


def feature_names(state: Mapping[str, Any]) -> list[str]:
    """Names of the model's columns, in order."""
    names: list[str] = []
    for feature in state["features"]:
        if feature["how"] == "onehot":
            names += [f"{feature['name']}={category}" for category in feature["categories"]]
        else:
            names.append(feature["name"])
    return names


def apply(state: Mapping[str, Any], columns: Columns) -> np.ndarray:
    """Transform raw columns.

    Returns:
        float64 of shape (rows, len(feature_names(state))).
    """
    values = engineer(state, columns)
    rows = len(next(iter(values.values())))
    matrix = np.empty((rows, len(feature_names(state))))
    start = 0
    for feature in state["features"]:  # in place: stacking takes longer than encoding one row
        width = len(feature["categories"]) if feature["how"] == "onehot" else 1
        matrix[:, start : start + width] = _encode(feature, values[feature["name"]])
        start += width
    return matrix


def engineer(state: Mapping[str, Any], columns: Columns) -> dict[str, np.ndarray]:
    """The raw columns and the engineered ones, not yet filled or encoded.

    Sums, ratios and bands are made from filled numbers, `present` from the raw values.
    """
    fills = {
        feature["name"]: feature["fill"]
        for feature in state["features"]
        if feature["how"] == "number"
    }
    filled = {
        name: _filled(array, fills[name]) if name in fills else array
        for name, array in columns.items()
    }
    made = {item["name"]: _make(item, columns, filled) for item in state["engineered"]}
    return {**columns, **made}


def _make(item: Mapping[str, Any], raw: Columns, filled: Columns) -> np.ndarray:
    kind = item["kind"]
    if kind == "sum":
        return np.sum([filled[name] for name in item["columns"]], axis=0) + item["plus"]
    if kind == "ratio":
        below = filled[item["denominator"]]
        return filled[item["numerator"]] / np.where(below == 0, np.nan, below)
    if kind == "present":
        return (~pd.isna(raw[item["column"]])).astype("float64")
    if kind == "count":
        return (
            np.sum([np.isin(_text(raw[name]), item["values"]) for name in item["columns"]], axis=0)
            * 1.0
        )
    if kind == "bins":
        return _bands(filled[item["column"]], item["edges"])
    return _extracted(raw[item["column"]], item)


def band_names(edges: Sequence[float]) -> list[str]:
    """Names of the bands that `edges` cut, in rising order."""
    cuts = [f"{edge:g}" for edge in edges]
    inner = [f"{low} to {high}" for low, high in zip(cuts, cuts[1:])]  # noqa: B905, RUF007 (Python 3.9)
    return [f"below {cuts[0]}", *inner, f"{cuts[-1]} and more"]


def _bands(numbers: np.ndarray, edges: Sequence[float]) -> np.ndarray:
    names = np.array([*band_names(edges), None], dtype="object")
    place = np.searchsorted(np.asarray(edges, dtype="float64"), numbers, side="right")
    return names[np.where(np.isnan(numbers), len(names) - 1, place)]


def _extracted(texts: np.ndarray, item: Mapping[str, Any]) -> np.ndarray:
    search, keep, other = re.compile(item["pattern"]).search, set(item["keep"]), item["other"]
    canonical = {
        found: label for label, spellings in item["spellings"].items() for found in spellings
    }

    def label_of(part: str) -> str:
        label = canonical.get(part.strip(), part.strip())
        return label if not keep or label in keep else other

    matches = (search(text) if text is not None else None for text in texts)
    parts = [match[1] if match else None for match in matches]
    labels = {part: other if part is None else label_of(part) for part in set(parts)}
    return np.array([labels[part] for part in parts], dtype="object")


def _encode(feature: Mapping[str, Any], values: np.ndarray) -> np.ndarray:
    """One feature as the model's columns, shape (rows, columns)."""
    if feature["how"] == "number":
        return _filled(values, feature["fill"])[:, None]
    places = {category: place for place, category in enumerate(feature["categories"])}
    places[None] = places.get(feature["fill"], -1)
    codes = np.fromiter((places.get(text, -1) for text in values), "int64", len(values))[:, None]
    return codes if feature["how"] == "label" else codes == np.arange(len(feature["categories"]))


def _text(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, dtype="object")


def _filled(numbers: np.ndarray, fill: float | None) -> np.ndarray:
    return numbers if fill is None else np.where(np.isnan(numbers), fill, numbers)
