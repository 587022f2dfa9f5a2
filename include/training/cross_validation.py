"""Cross-validation: what models of the other folds say of each row, and what that is worth.

Self-contained and good for Python 3.9.
"""

from __future__ import annotations

import argparse
import logging
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

import algorithms
import calibration
import classes
from checkpoints import Checkpoints
from early_stopping import StoppedFolds, patience_of
from threshold import cost_of, mean_cost

log = logging.getLogger("train")


@dataclass(frozen=True)
class OutOfFold:
    """Predictions of the train split, each by a model that has not seen the row."""

    probability: np.ndarray
    """Of shape (rows,), or (rows, classes) where there are several."""
    fold: np.ndarray
    """Number of the fold each row stands outside of, shape (rows,)."""
    rounds: list[int]
    """Rounds of boosting at which each fold did best; empty where none stops early."""


def fold_count(y: np.ndarray, wanted: int, labels: int = 2) -> int:
    """As many folds as wanted and as the rarest class allows; 0 where it allows none."""
    folds = min(wanted, int(np.bincount(y, minlength=labels).min()))
    return folds if folds >= 2 else 0


def cross_validate(
    options: argparse.Namespace,
    hyperparameters: dict[str, Any],
    x: np.ndarray,
    y: np.ndarray,
    folds: int,
    kept: Checkpoints,
) -> OutOfFold:
    """Fit each fold's model and predict the rows outside; finished folds are taken from `kept`."""
    from sklearn.model_selection import StratifiedKFold

    several = options.algorithm in classes.ALGORITHMS
    probability = np.empty((len(y), int(y.max()) + 1) if several else len(y))
    fold = np.empty(len(y), dtype="int64")
    splitter = StratifiedKFold(folds, shuffle=True, random_state=options.seed)
    splits = list(splitter.split(x, y))
    stopped = _stopped(options, hyperparameters, kept)
    if stopped:
        stopped.fit(x, y, splits)
    for number, (inside, outside) in enumerate(splits, start=1):
        started = time.monotonic()
        fold[outside] = number
        if (known := kept.read(f"fold-{number}")) is not None:
            probability[outside] = np.frombuffer(known).reshape(-1, *probability.shape[1:])
            log.info("Cross-validation: fold %d of %d was done before.", number, folds)
            continue
        if stopped:
            model = stopped.model(number, x, y, inside)
        else:
            model = algorithms.fit(
                options.algorithm, hyperparameters, x[inside], y[inside], options.seed,
                None, options.balance,
            )  # fmt: skip
        probability[outside] = algorithms.predict(options.algorithm, model, x[outside])
        kept.write(f"fold-{number}", probability[outside].tobytes())
        log.info(
            "Cross-validation: fold %d of %d done in %.1f s.",
            number,
            folds,
            time.monotonic() - started,
        )
    return OutOfFold(probability, fold, stopped.rounds if stopped else [])


def _stopped(
    options: argparse.Namespace, hyperparameters: dict[str, Any], kept: Checkpoints
) -> StoppedFolds | None:
    if patience_of(options.algorithm, hyperparameters) is None:
        return None
    return StoppedFolds(options.algorithm, hyperparameters, options.balance, options.seed, kept)


def calibrated(
    options: argparse.Namespace, y: np.ndarray, found: OutOfFold
) -> tuple[dict[str, Any] | None, np.ndarray]:
    """The calibration of the model, and the out-of-fold predictions as it would have made them.

    The predictions of a fold are calibrated by a map fitted to the other folds, so that their
    scores, and the threshold chosen on them, owe nothing to the row itself.
    """
    if options.calibrate == "none":
        return None, found.probability
    fitted = calibration.fit(options.calibrate, found.probability, y)
    return fitted, calibration.cross_fitted(options.calibrate, found.probability, y, found.fold)


def scores(
    options: argparse.Namespace, y: np.ndarray, probability: np.ndarray, threshold: float | None
) -> dict[str, float]:
    """Out-of-fold scores, for the log and the report; several classes have no threshold."""
    from sklearn import metrics

    if threshold is None:
        return classes.scores(y, probability)
    said = probability >= threshold
    found = {
        "accuracy": metrics.accuracy_score(y, said),
        "precision": metrics.precision_score(y, said, zero_division=0),
        "recall": metrics.recall_score(y, said, zero_division=0),
        "f1": metrics.f1_score(y, said, zero_division=0),
        **ranking_scores(y, probability),
    }
    if (cost := cost_of(options)) is not None:
        found["expected_cost"] = mean_cost(y, said, cost)
    log.info(
        "Cross-validation: %s.", ", ".join(f"{name} {value:.4f}" for name, value in found.items())
    )
    return {name: float(value) for name, value in found.items()}


def ranking_scores(y: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """The scores that need no threshold."""
    from sklearn import metrics

    return {
        "roc_auc": float(metrics.roc_auc_score(y, probability)),
        "log_loss": float(metrics.log_loss(y, probability, labels=[0, 1])),
        "brier_score": float(metrics.brier_score_loss(y, probability)),
    }
