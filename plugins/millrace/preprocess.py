"""Splitting, fitting and applying the transformation. Pure: frames in, frames and values out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sized
from typing import Any

import numpy as np
import pandas as pd

from millrace import transformation
from millrace.datasets import ROW_ID, Column, DatasetSpec

MISSING = "(missing)"
CHUNK = 100_000  # rows whose text stands in memory as Python objects at a time


def split(clean: pd.DataFrame, spec: DatasetSpec) -> np.ndarray:
    """Which rows are the test split: a boolean array of shape (rows,).

    Stratified and seeded. In each class the rows with the lowest hash of seed and row id are the
    test rows, so the split depends neither on the order of the rows nor on other classes, and a
    row keeps its side when the data grows, save for a few at the border.

    Raises:
        ValueError: a class has too few rows to stand on both sides.
    """
    order = _hash_order(clean[ROW_ID], spec.split.seed)
    target = clean[spec.target.column].to_numpy()
    test = np.zeros(len(clean), dtype=bool)
    for label, name in ((0, spec.target.negative), (1, spec.target.positive)):
        rows = np.flatnonzero(target == label)
        if len(rows) < 2:
            raise ValueError(
                f"{spec.target.column} = {name!r} has {len(rows)} usable row(s);"
                " a split needs at least 2"
            )
        count = min(max(1, round(len(rows) * spec.split.test)), len(rows) - 1)
        test[rows[np.argsort(order[rows], kind="stable")[:count]]] = True
    return test


def _hash_order(ids: pd.Series, seed: int) -> np.ndarray:
    """A reproducible pseudo-random number for each id (pandas' SipHash, keyed by the seed)."""
    key = hashlib.sha256(f"millrace split {seed}".encode()).hexdigest()[:16]
    parts = (ids.iloc[rows].to_numpy(dtype="object") for rows in _chunks(ids))
    return np.concatenate([pd.util.hash_array(p, hash_key=key, categorize=False) for p in parts])


def fit(train: pd.DataFrame, spec: DatasetSpec) -> dict[str, Any]:
    """Fit the transformation on the train split; returns its state (see `transformation`)."""
    engineered = [_engineered_state(name, spec) for name in spec.features]
    raw = [
        _fit_feature(name, train[name], spec.columns[name])
        for name in spec.columns_with("numeric", "categorical")
    ]
    state = {
        "version": 1,
        "inputs": [
            {"name": name, "type": "number" if spec.columns[name].role == "numeric" else "text"}
            for name in spec.input_columns()
        ],
        "engineered": engineered,
        "features": raw,
    }
    values = _engineered(state, train)
    made = [_fit_engineered(item, values[item["name"]], spec) for item in engineered]
    return {**state, "features": [*raw, *made]}


def _engineered(state: dict[str, Any], frame: pd.DataFrame) -> dict[str, np.ndarray]:
    names = [item["name"] for item in state["engineered"]]
    parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for rows in _chunks(frame) if names else ():
        values = transformation.engineer(state, transformation.columns_of(state, frame.iloc[rows]))
        for name in names:
            parts[name].append(values[name])
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def _chunks(rows: Sized) -> Iterator[slice]:
    return (slice(start, start + CHUNK) for start in range(0, max(len(rows), 1), CHUNK))


def _engineered_state(name: str, spec: DatasetSpec) -> dict[str, Any]:
    return {"name": name, **spec.features[name].model_dump(exclude={"description", "encoding"})}


def _fit_feature(name: str, values: pd.Series, column: Column) -> dict[str, Any]:
    if column.role == "numeric":
        return {
            "name": name,
            "how": "number",
            "fill": _numeric_fill(values, column.impute or "median"),
        }
    own_category = column.impute == "category"
    categories = _categories(values, column)
    fill = MISSING if own_category else _mode(values, categories)
    if own_category:
        categories = [*categories, MISSING]
    return {
        "name": name,
        "how": column.encoding or "onehot",
        "categories": categories,
        "fill": fill,
    }


def _numeric_fill(values: pd.Series, how: str) -> float | None:
    if how == "keep":
        return None
    if how == "zero" or not values.notna().any():
        return 0.0
    return float(values.median() if how == "median" else values.mean())


def _categories(values: pd.Series, column: Column) -> list[str]:
    """Declared labels, else the most frequent ones of the train split, in alphabetical order."""
    if column.values is not None:
        return list(column.values)
    counts = values.value_counts()
    ranked = sorted(counts.index, key=lambda label: (-counts[label], label))
    return sorted(ranked[: column.max_categories])


def _mode(values: pd.Series, categories: list[str]) -> str:
    """The most frequent label, the first in the alphabet among equals."""
    counts = values.value_counts()
    return (
        min(counts.index, key=lambda label: (-counts[label], label))
        if len(counts)
        else categories[0]
    )


def _fit_engineered(item: dict[str, Any], values: np.ndarray, spec: DatasetSpec) -> dict[str, Any]:
    name, kind = item["name"], item["kind"]
    if kind not in ("extract", "bins"):
        return {"name": name, "how": "number", "fill": _numeric_fill(pd.Series(values), "median")}
    column = Column(role="categorical", encoding=spec.features[name].encoding)  # type: ignore[union-attr]
    if kind == "bins":
        categories = transformation.band_names(item["edges"])
    else:
        categories = _categories(pd.Series(values, dtype="object"), column)
        categories = sorted({*categories, *item["keep"], item["other"]})
    fill = _mode(pd.Series(values, dtype="object"), categories)
    return {"name": name, "how": column.encoding, "categories": categories, "fill": fill}


def transformed(state: dict[str, Any], frame: pd.DataFrame) -> pd.DataFrame:
    """The model's columns of a frame: float64, one column a feature name."""
    names = transformation.feature_names(state)
    matrix = np.empty((len(frame), len(names)), order="F")  # so that each column is one array
    for rows in _chunks(frame):
        columns = transformation.columns_of(state, frame.iloc[rows])
        matrix[rows] = transformation.apply(state, columns)
    return pd.DataFrame(matrix, columns=names, copy=False)
