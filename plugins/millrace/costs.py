"""What decisions cost over all thresholds. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

POINTS = 400
"""Thresholds of a curve: more than a picture shows."""


def cost_curve(
    target: ArrayLike, probability: ArrayLike, cost: Mapping[str, float]
) -> dict[str, list[float]]:
    """The mean cost of a row at `POINTS` thresholds from 0 to where nobody is predicted positive.

    Args:
        target: 0/1 of shape (rows,); `probability` likewise.
        cost: of a `false_negative` and of a `false_positive`.
    """
    y, p = np.asarray(target), np.asarray(probability)
    # Where most rows are: most probabilities of a rare class are small.
    spread = np.quantile(p, np.linspace(0, 1, POINTS // 2))
    thresholds = np.unique([*spread, *np.linspace(0, min(1.0, p.max() * 1.01), POINTS // 2)])
    positives, negatives = np.sort(p[y == 1]), np.sort(p[y == 0])
    missed = np.searchsorted(positives, thresholds, side="left")
    alarmed = negatives.size - np.searchsorted(negatives, thresholds, side="left")
    total = cost["false_negative"] * missed + cost["false_positive"] * alarmed
    return {"threshold": thresholds.tolist(), "cost": (total / y.size).tolist()}


def fixed_costs(target: ArrayLike, cost: Mapping[str, float]) -> dict[str, float]:
    """The mean cost of a row of the two decisions that need no model."""
    share = float(np.asarray(target).mean())
    return {
        "everybody negative": cost["false_negative"] * share,
        "everybody positive": cost["false_positive"] * (1 - share),
    }
