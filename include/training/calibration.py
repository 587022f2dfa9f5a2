"""Calibration: turns what a model gives into the share of positives that is seen among such rows.

Fitted on out-of-fold predictions and kept in model.json as plain numbers, so that whatever predicts
with the model applies the same map. Self-contained and good for Python 3.9.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

CHOICES = ("none", "isotonic", "sigmoid")
NEAREST = float(np.finfo("float64").eps)  # a probability of 0 or 1 has no log-odds


def fit(method: str, probability: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """The map from predicted probabilities to observed shares.

    Args:
        method: `isotonic`, any rising curve (Zadrozny and Elkan 2002), or `sigmoid`, a straight
            line between log-odds with two numbers (Platt 1999, on log-odds).
        probability: predictions for rows the model has not seen, shape (rows,).
        y: 0/1, shape (rows,).
    """
    if method == "isotonic":
        return {"method": method, **_isotonic(probability, y)}
    if method == "sigmoid":
        return {"method": method, **_sigmoid(probability, y)}
    raise ValueError(f"unknown calibration {method!r}; write one of {list(CHOICES)}")


def _isotonic(probability: np.ndarray, y: np.ndarray) -> dict[str, list[float]]:
    from sklearn.isotonic import IsotonicRegression

    curve = IsotonicRegression().fit(probability, y)
    # No surer than so many rows allow (Laplace's rule of succession): never 0 or 1.
    surest = 1 / (len(y) + 2)
    shares = np.clip(curve.y_thresholds_, surest, 1 - surest)
    return {"predicted": curve.X_thresholds_.tolist(), "observed": shares.tolist()}


def _sigmoid(probability: np.ndarray, y: np.ndarray) -> dict[str, float]:
    from sklearn.linear_model import LogisticRegression

    margin = log_odds(probability)[:, None]
    positives = int(y.sum())
    # Platt's targets, as each row once positive and once negative with the weights of both.
    share = np.where(y == 1, (positives + 1) / (positives + 2), 1 / (len(y) - positives + 2))
    line = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(
        np.vstack([margin, margin]),
        np.repeat([1, 0], len(y)),
        sample_weight=np.concatenate([share, 1 - share]),
    )
    return {"slope": float(line.coef_[0, 0]), "intercept": float(line.intercept_[0])}


def apply(calibration: Mapping[str, Any] | None, probability: np.ndarray) -> np.ndarray:
    """Calibrated probabilities; the same ones where the model has no calibration.

    A row gets the same bits alone and among others.
    """
    if calibration is None:
        return probability
    if calibration["method"] == "isotonic":
        return np.interp(probability, calibration["predicted"], calibration["observed"])
    from scipy.special import expit

    margin = calibration["slope"] * log_odds(probability) + calibration["intercept"]
    return np.asarray(expit(margin), dtype="float64")


def log_odds(probability: np.ndarray) -> np.ndarray:
    """The logarithm of p / (1 - p), finite for 0 and 1 too."""
    from scipy.special import logit

    return np.asarray(logit(np.clip(probability, NEAREST, 1 - NEAREST)), dtype="float64")


def cross_fitted(
    method: str, probability: np.ndarray, y: np.ndarray, fold: np.ndarray
) -> np.ndarray:
    """Out-of-fold predictions, each calibrated by a map that its own fold had no part in.

    Args:
        probability, y, fold: prediction, target and number of the fold of each row.
    """
    calibrated = np.empty(len(y))
    for number in np.unique(fold):
        inside = fold == number
        found = fit(method, probability[~inside], y[~inside])
        calibrated[inside] = apply(found, probability[inside])
    return calibrated
