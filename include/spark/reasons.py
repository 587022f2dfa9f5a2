"""Reasons of a score: the columns that raise it most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

REASON = pa.struct([pa.field("feature", pa.string()), pa.field("contribution", pa.float64())])


@dataclass(frozen=True)
class Grouped:
    """Which of the model's features come from one column: the parts of a one-hot code do.

    Attributes:
        names: of the columns, in the model's order.
        starts: place of the first feature of each.
    """

    names: tuple[str, ...]
    starts: np.ndarray

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Grouped:
        """The groups of a transformation."""
        widths = [
            len(feature["categories"]) if feature["how"] == "onehot" else 1
            for feature in state["features"]
        ]
        kept = [(f["name"], width) for f, width in zip(state["features"], widths) if width]
        starts = np.cumsum([0, *(width for _, width in kept)])[:-1]
        return cls(tuple(name for name, _ in kept), starts)

    def added(self, contributions: np.ndarray) -> np.ndarray:
        """Contributions of the columns, from those of the features: [n, features] -> [n, columns].

        Contributions to one sum may be added up.
        """
        if contributions.shape[1] == len(self.names):
            return contributions
        return np.asarray(np.add.reduceat(contributions, self.starts, axis=1))


def top(contributions: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest contributions of each row [n, columns], largest first, of equal ones the first.

    Returns:
        Places [n, k] and values [n, k], k = min(count, columns).
    """
    left, rows = contributions.copy(), np.arange(len(contributions))
    places = np.empty((len(left), min(count, left.shape[1])), np.int64)
    for at in range(places.shape[1]):  # a few passes; sorting hundreds of columns takes longer
        places[:, at] = left.argmax(axis=1)
        left[rows, places[:, at]] = -np.inf
    return places, np.take_along_axis(contributions, places, axis=1)


def columns(names: pa.Array, contributions: np.ndarray, count: int) -> list[pa.StructArray]:
    """`count` columns of reasons; empty where no further column raises the score of a row.

    Args:
        names: of the columns, a string array.
        contributions: [n, columns], toward the positive class.
    """
    places, values = top(contributions, count)
    found = []
    for at in range(count):
        if at >= places.shape[1]:
            found.append(pa.nulls(len(contributions), REASON))
            continue
        none = ~(values[:, at] > 0)
        fields = [
            names.take(pa.array(places[:, at], mask=none)),
            pa.array(values[:, at], pa.float64(), mask=none),
        ]
        found.append(pa.StructArray.from_arrays(fields, fields=list(REASON), mask=pa.array(none)))
    return found
