"""How far rows have moved away from those a model was judged on. Pure.

Numbers are compared by the Wasserstein distance in standard deviations of the reference, labels by
the Jensen-Shannon distance, as evidently does by default, with its limit of 0.1 for both. A
distance alone would cry wolf where there are few rows, so the difference must be significant too:
by Kolmogorov and Smirnov's test or the chi-square test, at 5 % over all columns (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.spatial import distance

LIMIT = 0.1  # of both distances, and of a share of missing values
ALPHA = 0.05
MOST_LABELS = 50  # a column of more is as good as an identifier
MISSING = "(missing)"
SMALLEST_UNIT = 0.001  # in place of a standard deviation of 0


@dataclass(frozen=True)
class Shift:
    """One column, before and now.

    Attributes:
        kind: `number` or `label`.
        distance: NaN where one side has no value at all.
        p_value: of the hypothesis that nothing has changed.
        missing_before, missing_now: shares of missing values.
        drifted: the distance, or the change of the missing values, is large and no chance.
    """

    name: str
    kind: str
    distance: float
    p_value: float
    missing_before: float
    missing_now: float
    drifted: bool


@dataclass(frozen=True)
class Drift:
    """All columns and the predictions.

    Attributes:
        rows: of the reference, and now.
        columns: the furthest first.
        predictions: none where there are none to compare.
        share: of columns that drifted.
        alarm: whether the share is reached, or a prediction drifted.
    """

    rows: tuple[int, int]
    columns: tuple[Shift, ...]
    predictions: tuple[Shift, ...]
    share: float
    alarm: bool

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def compare(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    numbers: Collection[str],
    predictions: Collection[str],
    share: float,
) -> Drift:
    """Compare the columns that both frames have.

    Args:
        numbers: columns of numbers; all others hold labels.
        predictions: columns of predictions: one that drifted is an alarm.
        share: of the other columns that must have drifted for an alarm.
    """
    names = [
        name
        for name in reference.columns
        if name in current
        and (name in predictions or name in numbers or reference[name].nunique() <= MOST_LABELS)
    ]
    alpha = ALPHA / max(1, len(names))
    found = [shift(name, reference[name], current[name], name in numbers, alpha) for name in names]
    predicted = tuple(each for each in found if each.name in predictions)
    columns = [each for each in found if each.name not in predictions]
    columns.sort(key=lambda each: (not each.drifted, -np.nan_to_num(each.distance, nan=np.inf)))
    drifted = sum(each.drifted for each in columns) / max(1, len(columns))
    alarm = drifted >= share or any(each.drifted for each in predicted)
    return Drift((len(reference), len(current)), tuple(columns), predicted, drifted, alarm)


def shift(
    name: str, before: pd.Series, now: pd.Series, is_number: bool, alpha: float = ALPHA
) -> Shift:
    """How far one column has moved."""
    missing = (float(before.isna().mean()), float(now.isna().mean()))
    far, p_value = _numbers(before, now) if is_number else _labels(before, now)
    moved = far >= LIMIT and p_value < alpha
    if is_number and abs(missing[1] - missing[0]) >= LIMIT:
        counts = [[series.isna().sum(), series.notna().sum()] for series in (before, now)]
        moved = moved or stats.chi2_contingency(counts).pvalue < alpha
    kind = "number" if is_number else "label"
    return Shift(name, kind, far, p_value, *missing, bool(moved))


def _numbers(before: pd.Series, now: pd.Series) -> tuple[float, float]:
    old, new = before.dropna().to_numpy("float64"), now.dropna().to_numpy("float64")
    if not len(old) or not len(new):
        return float("nan"), 1.0
    unit = max(float(old.std()), SMALLEST_UNIT)
    far = float(stats.wasserstein_distance(old, new)) / unit
    return far, float(stats.ks_2samp(old, new, method="asymp").pvalue)


def _labels(before: pd.Series, now: pd.Series) -> tuple[float, float]:
    old, new = (series.fillna(MISSING).astype(str).value_counts() for series in (before, now))
    labels = sorted({*old.index, *new.index})
    counts = np.array([_counts(old, labels), _counts(new, labels)])
    if len(labels) < 2:
        return 0.0, 1.0
    shares = counts / counts.sum(axis=1, keepdims=True)
    return (
        float(distance.jensenshannon(*shares)), float(stats.chi2_contingency(counts).pvalue)
    )  # fmt: skip


def _counts(found: pd.Series, labels: Sequence[str]) -> list[int]:
    return [int(found.get(label, 0)) for label in labels]
