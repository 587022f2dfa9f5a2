"""What contributions say of a model as a whole, and which single predictions show most. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from millrace.errors import MillraceError


class Refused(MillraceError):
    """The contributions of a model do not add up to its raw scores."""


@dataclass(frozen=True)
class Explained:
    """Contributions of a sample of rows to their raw scores; of several classes, to the named one.

    Attributes:
        names: of the features, in order.
        inputs: what the model saw: float64 of shape (rows, features), NaN where missing.
        values: contributions, of the same shape.
        expected: the raw score without knowing the row, shape (rows,).
        raw: raw scores of shape (rows,).
        probability: predictions of shape (rows,).
    """

    names: tuple[str, ...]
    inputs: np.ndarray
    values: np.ndarray
    expected: np.ndarray
    raw: np.ndarray
    probability: np.ndarray

    @classmethod
    def of(cls, found: Mapping[str, np.ndarray]) -> Explained:
        """What the training code's explain.py wrote.

        Raises:
            Refused: it found no contributions that add up.
        """
        if "refused" in found:
            raise Refused(str(found["refused"]))
        names = tuple(str(name) for name in found["names"])
        values, expected, raw = found["values"], found["expected"], found["raw"]
        probability = found["probability"]
        rows = np.arange(len(values))
        if values.ndim == 3:
            named = probability.argmax(axis=1)
            values, raw, expected = values[rows, :, named], raw[rows, named], expected[named]
            probability = probability[rows, named]
        return cls(names, found["inputs"], values, np.broadcast_to(expected, len(rows)), raw,
                   probability)  # fmt: skip

    @property
    def error(self) -> float:
        """The largest difference between a raw score and what adds up to it."""
        return float(np.abs(self.expected + self.values.sum(axis=1) - self.raw).max())

    def importance(self) -> list[tuple[str, float]]:
        """Mean absolute contribution of each feature, largest first."""
        means = np.abs(self.values).mean(axis=0)
        return [(self.names[i], float(means[i])) for i in np.argsort(-means, kind="stable")]


def grouped(explained: Explained, state: Mapping[str, Any]) -> Explained:
    """The same by feature before encoding: contributions add up, so those of one-hot columns do.

    Args:
        state: the fitted transformation (see `transformation`).

    A one-hot feature's input is the position of its category, NaN where the category is unknown.
    """
    values, inputs = [], []
    start = 0
    for feature in state["features"]:
        width = len(feature["categories"]) if feature["how"] == "onehot" else 1
        columns = slice(start, start + width)
        start += width
        values.append(explained.values[:, columns].sum(axis=1))
        seen = explained.inputs[:, columns]
        if feature["how"] == "onehot":
            inputs.append(np.where(seen.any(axis=1), seen.argmax(axis=1), np.nan))
        else:
            inputs.append(seen[:, 0])
    names = tuple(feature["name"] for feature in state["features"])
    return replace(
        explained, names=names, inputs=np.column_stack(inputs), values=np.column_stack(values)
    )


def ordered(explained: Explained, state: Mapping[str, Any]) -> Explained:
    """The same with inputs that say more or less: two categories are low and high, others NaN.

    Args:
        explained: what `grouped` returned.

    The name of a feature of two categories says which of them is drawn as high, in red.
    """
    names, inputs = list(explained.names), explained.inputs.copy()
    for place, feature in enumerate(state["features"]):
        if feature["how"] == "number":
            continue
        if len(feature["categories"]) == 2:
            names[place] = f"{feature['name']} (red: {feature['categories'][1]})"
            inputs[inputs[:, place] < 0, place] = np.nan
        else:
            inputs[:, place] = np.nan
    return replace(explained, names=tuple(names), inputs=inputs)


def as_text(
    state: Mapping[str, Any], inputs: np.ndarray, hidden: Collection[str] = ()
) -> list[str]:
    """What a row of `grouped` inputs holds, as people write it: categories by their names.

    Args:
        hidden: features that no page shows of one person.
    """
    found = []
    for feature, value in zip(state["features"], inputs, strict=True):
        known = not np.isnan(value) and value >= 0
        if feature["name"] in hidden:
            found.append("hidden")
        elif feature["how"] == "number":
            found.append("missing" if np.isnan(value) else written(value))
        else:
            found.append(feature["categories"][int(value)] if known else "another")
    return found


def written(value: float) -> str:
    """A number in at most four significant digits, without an exponent where it is no huge one."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"


def telling_rows(probability: np.ndarray, threshold: float) -> dict[str, int]:
    """Rows worth a picture: the highest, the median and the lowest score, and the closest call.

    Args:
        probability: shape (rows,).

    Returns:
        Row numbers by what they are; a row is named once.
    """
    order = np.argsort(probability, kind="stable")
    rows = {
        "the highest prediction": order[-1],
        "the closest call": np.abs(probability - threshold).argmin(),
        "the median prediction": order[len(order) // 2],
        "the lowest prediction": order[0],
    }
    found: dict[str, int] = {}
    for name, row in rows.items():
        if int(row) not in found.values():
            found[name] = int(row)
    return found
