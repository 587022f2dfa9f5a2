"""The decision threshold: fixed, or the one that does best on the out-of-fold predictions."""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np


class Cost(NamedTuple):
    """What a wrong decision costs, in any unit; a right one costs nothing."""

    false_negative: float
    false_positive: float


def cost_of(options: argparse.Namespace) -> Cost | None:
    """The cost of the script's options; None where the spec names none."""
    if options.cost_false_negative is None:
        return None
    return Cost(options.cost_false_negative, options.cost_false_positive)


def mean_cost(y: np.ndarray, said: np.ndarray, cost: Cost) -> float:
    """The cost of decisions, a row."""
    missed, alarmed = np.sum((y == 1) & ~said), np.sum((y == 0) & said)
    return float(cost.false_negative * missed + cost.false_positive * alarmed) / len(y)


def choose_threshold(
    options: argparse.Namespace, y: np.ndarray, out_of_fold: np.ndarray | None
) -> tuple[float, str]:
    """The decision threshold and how it was chosen; the test split has no say in it."""
    cost = cost_of(options)
    if options.maximise is None and cost is None:
        return (0.5 if options.threshold is None else options.threshold), "fixed by the spec"
    if out_of_fold is None:
        return _without_folds(cost)
    where = f"on the out-of-fold predictions of the {len(y):,} train rows"
    if cost is not None:
        thresholds, values = costs_by_threshold(y, out_of_fold, cost)
        best = int(np.argmin(values))
        return float(thresholds[best]), (
            f"minimises the expected cost ({values[best]:.4f} a row, where a false negative costs"
            f" {cost.false_negative:g} and a false positive {cost.false_positive:g}) {where}"
        )
    thresholds, values = scores_by_threshold(y, out_of_fold, options.maximise)
    best = int(np.argmax(values))
    return float(thresholds[best]), f"maximises {options.maximise} ({values[best]:.4f}) {where}"


def _without_folds(cost: Cost | None) -> tuple[float, str]:
    why = "because the rarer class has too few rows to cross-validate"
    if cost is None:
        return 0.5, f"0.5, {why}"
    threshold = cost.false_positive / (cost.false_positive + cost.false_negative)
    return threshold, (
        f"{threshold:.4f}, which costs least where probabilities are true (Elkan 2001), {why}"
    )


def scores_by_threshold(
    y: np.ndarray, probability: np.ndarray, metric: str
) -> tuple[np.ndarray, np.ndarray]:
    """The metric, accuracy or f1, at every threshold of `_cells_by_threshold`."""
    thresholds, true_positive, said_positive = _cells_by_threshold(y, probability)
    if metric == "f1":
        return thresholds, 2 * true_positive / (said_positive + y.sum())
    true_negative = (len(y) - said_positive) - (y.sum() - true_positive)
    return thresholds, (true_positive + true_negative) / len(y)


def costs_by_threshold(
    y: np.ndarray, probability: np.ndarray, cost: Cost
) -> tuple[np.ndarray, np.ndarray]:
    """The cost a row at every threshold of `_cells_by_threshold`."""
    thresholds, true_positive, said_positive = _cells_by_threshold(y, probability)
    missed, alarmed = y.sum() - true_positive, said_positive - true_positive
    return thresholds, (cost.false_negative * missed + cost.false_positive * alarmed) / len(y)


def _cells_by_threshold(
    y: np.ndarray, probability: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every threshold that makes a difference, none below 0 or above 1, falling save the last.

    Returns:
        thresholds, true positives and predicted positives, each of shape (thresholds,).
    """
    order = np.argsort(-probability, kind="stable")
    ranked, hits = probability[order], np.cumsum(y[order])
    last = np.flatnonzero(np.append(np.diff(ranked) != 0, True))  # last row of each run of ties
    true_positive, said_positive = hits[last], last + 1
    above, below = ranked[last], np.append(ranked[last][1:], 0.0)
    thresholds = (above + below) / 2
    thresholds = np.where(thresholds > below, thresholds, above)  # no number lies between them
    nobody = (1 + above[0]) / 2  # a threshold that no row reaches, where there is one
    if nobody > above[0]:
        thresholds = np.append(thresholds, nobody)
        true_positive, said_positive = np.append(true_positive, 0), np.append(said_positive, 0)
    return thresholds, true_positive, said_positive
