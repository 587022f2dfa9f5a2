"""Random draws and number formats that the sample generators share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def texts(values: Sequence[str]) -> NDArray[np.object_]:
    """An array of Python strings that can be indexed by an array and added element by element."""
    return np.array(values, dtype=object)


def pick(rng: np.random.Generator, table: ArrayLike, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Draw one column number for each entry of `rows`, by the weights in that row of `table`."""
    shares = np.cumsum(np.asarray(table, dtype=float), axis=1)
    shares /= shares[:, -1:]
    return (rng.random(len(rows))[:, None] >= shares[rows, :-1]).sum(axis=1)


def choose(rng: np.random.Generator, weights: ArrayLike, share: float) -> NDArray[np.bool_]:
    """Mark exactly `round(share * n)` of `n` rows, rows of greater weight more often.

    Weighted sampling without replacement by exponential keys (Efraimidis and Spirakis, 2006).
    """
    weights = np.asarray(weights, dtype=float)
    count = round(share * len(weights))
    marked = np.zeros(len(weights), dtype=bool)
    if count:
        keys = rng.exponential(size=len(weights)) / weights
        marked[np.argpartition(keys, count - 1)[:count]] = True
    return marked


def happens(rng: np.random.Generator, logit: NDArray[np.float64]) -> NDArray[np.bool_]:
    """True with probability `1 / (1 + exp(-logit))`, row by row."""
    return rng.logistic(size=len(logit)) < logit


def shortest(values: NDArray[np.float64]) -> NDArray[np.object_]:
    """Numbers as text with up to ten significant digits and no trailing zeros: `22`, `7.25`."""
    unique, positions = np.unique(values, return_inverse=True)
    return texts([f"{value:.10g}" for value in unique])[positions]
