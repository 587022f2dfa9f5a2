"""Standardised features in one pass, with values that are missing.

A column is standardised by the mean and the deviation of the values that are there; one that is
missing becomes 0, the mean. The components of such rows need the sum of z z^T over rows, where z
depends on a mean that is known only at the end. So three sums are gathered around a running mean c,
with y = x - c where x is there and 0 where it is not, and m = 1 or 0 alike: y y^T, m y^T and m m^T.
They tell the sum around any other mean c + d:

    sum of m m^T (y - d)(y - d)^T = Y - D C - (D C)^T + D N D,    D = diag(d)

by which two gathered parts are moved to their common mean and added, as Chan, Golub and LeVeque
(1979) do without missing values. No digits are lost however large a mean is.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

import pca

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Gathered:
    """What is gathered about rows of numbers.

    Attributes:
        mean: [width], of the values that are there; 0 where there is none.
        seen: [width, width], rows in which both columns are there; of one alone on the diagonal.
        scatter: [width, width], sum of y y^T.
        mixed: [width, width], sum of m y^T.
    """

    rows: int
    mean: np.ndarray
    seen: np.ndarray
    scatter: np.ndarray
    mixed: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Gathered:
        """What a block of rows [n, width] of float64 gives; NaN and infinity are missing."""
        there = np.isfinite(values)
        counts = there.sum(axis=0)
        mean = np.where(there, values, 0.0).sum(axis=0) / np.maximum(counts, 1)
        around = np.where(there, values - mean, 0.0)
        if counts.min() == len(values):  # nothing is missing
            seen = np.full((len(mean), len(mean)), float(len(values)))
            mixed = np.tile(around.sum(axis=0), (len(mean), 1))
        else:
            mask = there.astype(np.float32)  # whole numbers up to 2^24 are exact
            seen = (mask.T @ mask).astype(np.float64)
            mixed = there.T.astype(np.float64) @ around
        return cls(len(values), mean, seen, around.T @ around, mixed)

    def moved(self, mean: np.ndarray) -> Gathered:
        """The same around another mean."""
        apart = mean - self.mean
        cross = apart[:, None] * self.mixed
        scatter = self.scatter - cross - cross.T + np.outer(apart, apart) * self.seen
        return Gathered(self.rows, mean, self.seen, scatter, self.mixed - self.seen * apart)

    def merged(self, other: Gathered) -> Gathered:
        """What the rows of both give."""
        mine, its = np.diag(self.seen), np.diag(other.seen)
        share = its / np.maximum(mine + its, 1)
        # Of a column without values on one side, the mean is the other side's, to the last bit.
        mean = np.where(mine == 0, other.mean, self.mean + (other.mean - self.mean) * share)
        left, right = self.moved(mean), other.moved(mean)
        return Gathered(
            self.rows + other.rows, mean, left.seen + right.seen,
            left.scatter + right.scatter, left.mixed + right.mixed,
        )  # fmt: skip

    def packed(self) -> bytes:
        sink = io.BytesIO()
        np.savez(sink, rows=self.rows, mean=self.mean, seen=self.seen, scatter=self.scatter,
                 mixed=self.mixed)  # fmt: skip
        return sink.getvalue()

    @classmethod
    def unpacked(cls, content: bytes) -> Gathered:
        with np.load(io.BytesIO(content), allow_pickle=False) as found:
            return cls(int(found["rows"]), found["mean"], found["seen"], found["scatter"],
                       found["mixed"])  # fmt: skip


@dataclass(frozen=True)
class Scaler:
    """How columns are standardised.

    Attributes:
        mean, scale: [width]; the scale is the deviation with the number of values as the divisor,
            and 1 for a column whose values are all the same.
        seen: [width], rows in which a value is there.
    """

    names: tuple[str, ...]
    mean: np.ndarray
    scale: np.ndarray
    seen: np.ndarray

    def standardise(self, values: np.ndarray) -> np.ndarray:
        """Rows [n, width] standardised; 0 where a value is missing or infinite."""
        scaled = (values - self.mean) / self.scale
        return np.where(np.isfinite(values), scaled, 0.0)

    def table(self) -> pa.Table:
        return pa.table(
            {"feature": list(self.names), "mean": self.mean, "scale": self.scale,
             "present": self.seen.astype(np.int64)}
        )  # fmt: skip


def scaler_of(found: Gathered, names: Sequence[str]) -> Scaler:
    """How the gathered columns are standardised."""
    count = np.maximum(np.diag(found.seen), 1)
    variance = np.clip(np.diag(found.scatter), 0, None) / count
    # What rounding leaves of equal values, as scikit-learn's StandardScaler tells it.
    constant = variance <= count * EPS * variance + (count * found.mean * EPS) ** 2
    scale = np.where(constant, 1.0, np.sqrt(variance))
    return Scaler(tuple(names), found.mean, scale, np.diag(found.seen).copy())


def moments(found: Gathered, scaler: Scaler) -> pca.Moments:
    """Moments of the standardised rows; their mean is 0."""
    return pca.Moments(
        found.rows, np.zeros_like(scaler.mean),
        found.scatter / np.outer(scaler.scale, scaler.scale),
    )  # fmt: skip
