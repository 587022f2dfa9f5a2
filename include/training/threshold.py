"""The decision threshold: fixed, or the one that does best on the out-of-fold predictions."""

from __future__ import annotations

import argparse

import numpy as np


def choose_threshold(
    options: argparse.Namespace, y: np.ndarray, out_of_fold: np.ndarray | None
) -> tuple[float, str]:
    """The decision threshold and how it was chosen; the test split has no say in it."""
    if options.maximise is None:
        return (0.5 if options.threshold is None else options.threshold), "fixed by the spec"
    if out_of_fold is None:
        return 0.5, "0.5, because the rarer class has too few rows to cross-validate"
    thresholds, values = scores_by_threshold(y, out_of_fold, options.maximise)
    best = int(np.argmax(values))
    rule = (f"maximises {options.maximise} ({values[best]:.4f}) on the out-of-fold predictions "
            f"of the {len(y):,} train rows")  # fmt: skip
    return float(thresholds[best]), rule


def scores_by_threshold(
    y: np.ndarray, probability: np.ndarray, metric: str
) -> tuple[np.ndarray, np.ndarray]:
    """The metric at every threshold that makes a difference, none below 0 or above 1."""
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
    if metric == "f1":
        return thresholds, 2 * true_positive / (said_positive + y.sum())
    true_negative = (len(y) - said_positive) - (y.sum() - true_positive)
    return thresholds, (true_positive + true_negative) / len(y)
