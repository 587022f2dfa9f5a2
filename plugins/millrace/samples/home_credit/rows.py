"""Rows of one table: every column drawn from its quantiles or shares, and sums that come out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@cache
def profile() -> dict[str, Any]:
    """What `scripts/profile_home_credit.py` found: how each column is distributed."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name("profile.json").read_text("utf-8"))
    return found


def header(table: str) -> list[str]:
    """The columns of a table, in the order of the public file."""
    return list(profile()["tables"][table])


def apportion(weights: Floats | Bools, total: int, cap: int | None = None) -> Ints:
    """Split `total` rows by weight into whole numbers of at most `cap` that add up to it.

    Where the cap leaves no room for `total`, as many as there is room for.
    """
    if not weights.any():
        return np.zeros(len(weights), dtype=np.int64)
    if cap is not None:
        total = min(total, cap * int(np.count_nonzero(weights)))
    shares = weights * (total / weights.sum())
    while cap is not None and (shares > cap).any():
        full = shares >= cap
        rest = total - cap * int(full.sum())
        open_weights = np.where(full, 0.0, shares)
        room = open_weights.sum()
        shares = np.where(full, float(cap), open_weights * (rest / room if room else 0.0))
    ends = np.floor(np.cumsum(shares) + 1e-6).astype(np.int64)
    ends[-1] = total
    return np.diff(ends, prepend=0)


def within(counts: Ints) -> Ints:
    """0, 1, 2... inside each group of `counts` rows."""
    starts = np.cumsum(counts) - counts
    places: Ints = np.arange(counts.sum()) - np.repeat(starts, counts)
    return places


class Rows:
    """Columns of `count` rows of one table, as floats; text as places in the list of its values."""

    def __init__(self, table: str, rng: np.random.Generator, count: int):
        self.rng, self.count = rng, count
        self.profile: dict[str, Any] = profile()["tables"][table]
        self.values: dict[str, Floats] = {}

    def __getitem__(self, name: str) -> Floats:
        return self.values[name]

    def __setitem__(self, name: str, values: Floats | Ints | Bools) -> None:
        self.values[name] = np.asarray(values, dtype=np.float64)

    def rank(self, latent: Floats, load: float) -> Floats:
        """Uniform numbers whose normal scores correlate with `latent` by `load`."""
        noise = self.rng.standard_normal(self.count)
        ranks: Floats = ndtr(load * latent + np.sqrt(1 - load * load) * noise)
        return ranks

    def draw(self, loads: Mapping[str, tuple[Floats, float]]) -> None:
        """Draw each column that is not set; `loads` says on what latent number it depends."""
        for name, found in self.profile.items():
            if name in self.values or found["kind"] == "key":
                continue
            ranks = self.rank(*loads[name]) if name in loads else self.rng.random(self.count)
            self[name] = self.at(name, ranks)
            if found["missing"]:
                self.blank(name, self.rng.random(self.count) < found["missing"])

    def at(self, name: str, ranks: Floats) -> Floats:
        """The values of a column at ranks from 0 to 1."""
        found = self.profile[name]
        if "quantiles" in found:
            values = np.interp(ranks, profile()["probabilities"], found["quantiles"])
            digits = 0 if found["kind"] == "integer" else 9 if "EXT_" in name else 4
            if name.startswith("AMT_") and digits:
                return np.round(values / 0.045) * 0.045
            rounded: Floats = np.round(values, digits)
            return rounded
        ends = np.cumsum(found["shares"])
        places = np.searchsorted(ends / ends[-1], ranks, side="right")
        places = np.minimum(places, len(ends) - 1)
        if found["kind"] == "text":
            return places.astype(np.float64)
        numbers: Floats = np.array(found["values"])[places]
        return numbers

    def blank(self, name: str, where: Bools) -> None:
        """Leave values of a column out."""
        self.values[name] = np.where(where, np.nan, self.values[name])

    def put(self, name: str, where: Bools, value: str) -> None:
        """Set values of a text column."""
        self.values[name] = np.where(where, self._code(name, value), self.values[name])

    def has(self, name: str, *values: str) -> Bools:
        """Where a text column has one of these values."""
        return np.isin(self.values[name], [self._code(name, value) for value in values])

    def _code(self, name: str, value: str) -> int:
        values: list[str] = self.profile[name]["values"]
        return values.index(value)

    def batch(self, shuffle: bool = True) -> pa.RecordBatch:
        """The rows in Arrow, in another order than they were drawn in."""
        order = self.rng.permutation(self.count) if shuffle else np.arange(self.count)
        columns = [self._arrow(name, self.values[name][order]) for name in self.profile]
        return pa.RecordBatch.from_arrays(columns, names=list(self.profile))

    def _arrow(self, name: str, values: Floats) -> pa.Array:
        found = self.profile[name]
        gone = np.isnan(values)
        if found["kind"] == "number":
            return pa.array(np.round(values, 9), mask=gone)
        whole = pa.array(np.where(gone, 0, values).astype(np.int64), mask=gone)
        return pa.array(found["values"]).take(whole) if found["kind"] == "text" else whole
