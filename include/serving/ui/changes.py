"""What would turn a verdict: the smallest change of one input alone, by trying. Pure.

An input is tried where its values were seen in training. Others stay as they are, also those that
were computed from the same figures, so a change says what the model looks at, no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

STEPS = 200  # values of a number that are tried over its range
HALVINGS = 30  # of the step in which the verdict turns

Record = Mapping[str, Any]
Score = Callable[[Sequence[Record]], np.ndarray]  # probabilities, shape (records,)


@dataclass(frozen=True)
class Change:
    """A value that turns the verdict.

    Attributes:
        share: of the range of the input; of a label 1.
    """

    name: str
    present: Any
    wanted: Any
    probability: float
    share: float


def smallest_changes(
    record: Record, ranges: Mapping[str, Mapping[str, Any] | Sequence[str]], score: Score,
    threshold: float,
) -> list[Change]:  # fmt: skip
    """For each input that can turn the verdict the smallest change that does; smallest first.

    Args:
        ranges: by input `low`, `high` and `whole` of a number, or the labels of a text.
    """
    present = float(score([record])[0])
    wants_positive = present < threshold

    def turns(values: np.ndarray) -> np.ndarray:
        return (values >= threshold) == wants_positive

    found = []
    for name, seen in ranges.items():
        if record.get(name) is None:
            continue  # nobody knows how far away a value is from one that is not known
        search = _number if isinstance(seen, Mapping) else _label
        change = search(record, name, seen, score, turns)  # type: ignore[arg-type]
        if change is not None:
            found.append(change)
    return sorted(found, key=lambda change: change.share)


def _number(
    record: Record, name: str, seen: Mapping[str, Any], score: Score,
    turns: Callable[[np.ndarray], np.ndarray],
) -> Change | None:  # fmt: skip
    present, low, high = float(record[name]), float(seen["low"]), float(seen["high"])
    values = np.linspace(low, high, STEPS + 1)
    if seen["whole"]:
        values = np.unique(np.round(values))
    values = values[np.argsort(np.abs(values - present), kind="stable")]
    hits = np.flatnonzero(turns(_tried(record, name, values, score)))
    if not hits.size:
        return None
    hit = float(values[hits[0]])
    wanted = hit if seen["whole"] else _refined(
        present, min(max(present, low), high), hit, values[: hits[0]],
        lambda value: bool(turns(_tried(record, name, np.array([value]), score))[0]),
    )  # fmt: skip
    [probability] = _tried(record, name, np.array([wanted]), score)
    share = abs(wanted - present) / ((high - low) or 1)
    return Change(name, present, wanted, float(probability), share)


def _label(
    record: Record, name: str, labels: Sequence[str], score: Score,
    turns: Callable[[np.ndarray], np.ndarray],
) -> Change | None:  # fmt: skip
    """The label that turns the verdict most clearly."""
    others = [label for label in labels if label != record[name]]
    if not others:
        return None
    found = score([{**record, name: label} for label in others])
    hits = np.flatnonzero(turns(found))
    if not hits.size:
        return None
    before = float(score([record])[0])
    best = max(hits, key=lambda at: abs(float(found[at]) - before))
    return Change(name, record[name], others[best], float(found[best]), 1.0)


def _tried(record: Record, name: str, values: np.ndarray, score: Score) -> np.ndarray:
    return score([{**record, name: float(value)} for value in values])


def _refined(
    present: float, edge: float, hit: float, nearer: np.ndarray, turns_at: Callable[[float], bool]
) -> float:
    """Between a value that turns the verdict and the nearer one that does not, where it turns.

    Told with as few digits as turn it and are no farther away than `hit`.

    Args:
        edge: the value of the range that is nearest to the present one.
        nearer: values that do not turn it.
    """
    beside = nearer[np.sign(nearer - present) == np.sign(hit - present)]
    start, wanted = float(beside[-1]) if beside.size else edge, hit
    for _ in range(HALVINGS):
        middle = (start + wanted) / 2
        start, wanted = (start, middle) if turns_at(middle) else (middle, wanted)
    for digits in range(2, 12):
        unit = 10.0 ** (np.floor(np.log10(abs(wanted) or 1.0)) - digits + 1)
        away = np.ceil if wanted > present else np.floor
        value = float(away(wanted / unit) * unit)
        if abs(value - present) <= abs(hit - present) and turns_at(value):
            return value
    return wanted
