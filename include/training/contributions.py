"""What each feature adds to a prediction: exact Shapley values of tree and linear models.

Self-contained and good for Python 3.9: it travels with every model. The values of a row and the
expected value add up to the model's raw score (Lundberg and Lee, "A unified approach to
interpreting model predictions", NeurIPS 2017):

    xgboost, lightgbm             log-odds, before any calibration
    logistic_regression           log-odds
    multinomial_logistic_...      the margin of each class, before softmax
    decision_tree, random_forest  probability of the positive class

Trees take their own training rows as the background, by the number of rows in each node (Lundberg
et al., "From local explanations to global understanding with explainable AI for trees", Nature
Machine Intelligence 2, 2020); linear models the mean of the training rows, for which the value is
weight * (x - mean). Single trees and forests need the package `shap`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

ALGORITHMS = (
    "xgboost", "lightgbm", "logistic_regression", "multinomial_logistic_regression",
    "decision_tree", "random_forest",
)  # fmt: skip
TOLERANCE = 1e-6  # of what the values may add up to beside the raw score, per unit of it
SINGLE = 1e-4  # of what a sum in single precision may be off
TREES = 4  # of xgboost whose values are added in single precision, before double takes over


class Unexplained(ValueError):
    """Contributions do not add up to the raw scores, so they explain nothing."""


@dataclass(frozen=True)
class Contributions:
    """Contributions to raw scores; the last axis is there for several classes only.

    Attributes:
        values: float64 of shape (rows, features) or (rows, features, classes).
        expected: raw score of no row in particular: a number, or one a class.
        raw: raw scores, float64 of shape (rows,) or (rows, classes).
    """

    values: np.ndarray
    expected: np.ndarray
    raw: np.ndarray

    @property
    def error(self) -> float:
        """The largest difference between a raw score and what adds up to it, per unit of it."""
        off = np.abs(self.expected + self.values.sum(axis=1) - self.raw)
        return float((off / np.maximum(1.0, np.abs(self.raw))).max())


def contributions(algorithm: str, model: Any, x: np.ndarray) -> Contributions:
    """Contributions of every feature to the raw score of every row.

    Args:
        model: what `algorithms.fit` or `algorithms.load` returned.
        x: float64 of shape (rows, features), as the model predicts from; at least one row.

    Raises:
        ValueError: the algorithm is unknown.
        Unexplained: the values do not add up to the raw scores.
        ImportError: the model is a tree or a forest and `shap` is not installed.
    """
    makers = {
        "xgboost": _xgboost,
        "lightgbm": _lightgbm,
        "logistic_regression": _linear,
        "multinomial_logistic_regression": _multinomial,
        "decision_tree": _forest,
        "random_forest": _forest,
    }
    if algorithm not in makers:
        raise ValueError(f"no contributions of {algorithm!r}; there are of {list(ALGORITHMS)}")
    found = makers[algorithm](model, x)
    if not found.error <= TOLERANCE:
        raise Unexplained(
            f"the contributions of {algorithm} miss the raw score by {found.error:.1e} of it, more"
            f" than {TOLERANCE:g}; they explain nothing"
        )
    return found


def _lightgbm(model: Any, x: np.ndarray) -> Contributions:
    values = np.asarray(model.predict(x, pred_contrib=True), dtype="float64")
    raw = np.asarray(model.predict(x, raw_score=True), dtype="float64")
    return Contributions(values[:, :-1], _constant(values[:, -1]), raw)


def _xgboost(model: Any, x: np.ndarray) -> Contributions:
    """Added up in double precision over a few trees at a time: xgboost adds in single precision.

    The base score is taken off each part, where it would be rounded, and added once at the end.
    """
    import xgboost

    rows = xgboost.DMatrix(x, missing=np.nan)
    base, values, raw = _base(model), np.zeros(()), np.zeros(())
    for part in _blocks(model):
        values = values + np.asarray(part.predict(rows, pred_contribs=True), dtype="float64")
        raw = raw + np.asarray(part.predict(rows, output_margin=True), dtype="float64")
    found = Contributions(values[:, :-1], base + _constant(values[:, -1]), base + raw)
    whole = model.predict(rows, output_margin=True)
    if not np.allclose(found.raw, whole, rtol=SINGLE, atol=SINGLE):
        raise Unexplained(
            f"the trees of xgboost add up to {np.abs(found.raw - whole).max():.1e} beside the"
            " model's own raw score; its contributions explain nothing"
        )
    return found


def _blocks(model: Any) -> Iterator[Any]:
    """The model's trees, a few at a time, with a base score of 0."""
    rounds, nothing = model.num_boosted_rounds(), 0.5 if _is_share(model) else 0.0
    for start in range(0, rounds, TREES):
        part = model[start : min(start + TREES, rounds)]
        part.set_param({"base_score": nothing})
        yield part


def _base(model: Any) -> float:
    """The base score as the trees add to it: what a model of no tree at all says."""
    said = json.loads(model.save_config())["learner"]["learner_model_param"]["base_score"]
    base = float(said.strip("[]"))
    return float(np.log(base / (1 - base))) if _is_share(model) else base


def _is_share(model: Any) -> bool:
    """Whether the base score is kept as a probability and not as a raw score."""
    objective = json.loads(model.save_config())["learner"]["objective"]["name"]
    return objective in ("binary:logistic", "reg:logistic")


def _constant(column: np.ndarray) -> np.ndarray:
    """The expected value, which stands beside every row."""
    return np.asarray(column[0], dtype="float64")


def _linear(model: Any, x: np.ndarray) -> Contributions:
    """The scaler's mean is the background: a standardised feature is its distance from it."""
    scaler, estimator = model
    scaled = scaler.transform(x)
    raw = np.asarray(estimator.decision_function(scaled), dtype="float64")
    return Contributions(scaled * estimator.coef_[0], np.asarray(estimator.intercept_[0]), raw)


def _multinomial(model: Any, x: np.ndarray) -> Contributions:
    scaler, estimator = model
    scaled = scaler.transform(x)
    weights, intercepts = estimator.coef_, estimator.intercept_
    if len(weights) == 1:  # of two classes, scikit-learn keeps one line
        weights, intercepts = np.vstack([0 * weights, weights]), np.append(0.0, intercepts)
    raw = scaled @ weights.T + intercepts
    return Contributions(scaled[:, :, None] * weights.T, np.asarray(intercepts), raw)


def _forest(model: Any, x: np.ndarray) -> Contributions:
    import shap

    explainer = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
    values = np.asarray(explainer.shap_values(x, check_additivity=False), dtype="float64")
    raw = np.asarray(model.predict_proba(x)[:, 1], dtype="float64")
    expected = np.asarray(explainer.expected_value, dtype="float64")
    return Contributions(values[:, :, 1], expected[1], raw)
