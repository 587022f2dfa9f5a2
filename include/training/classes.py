"""Several classes: probabilities of shape (rows, classes), and what they are worth.

Self-contained and good for Python 3.9.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

log = logging.getLogger("train")
ALGORITHMS = ("multinomial_logistic_regression",)
RULE = "the class with the highest probability"


def classes_of(algorithm: str, state: Mapping[str, Any]) -> list[str]:
    """Names of the classes, in the order of their numbers; none for an algorithm of two classes.

    Raises:
        ValueError: the channel's transformation.json does not fit the algorithm.
    """
    names = list(state.get("classes", []))
    if algorithm not in ALGORITHMS:
        if names:
            raise ValueError(
                f"{algorithm} knows two classes and the channel has {len(names)}; write one of"
                f" {list(ALGORITHMS)}"
            )
        return []
    if len(names) < 2:
        raise ValueError(
            f"{algorithm} needs two or more classes: name them as `classes` in transformation.json,"
            f" in the order of their numbers; found {names}"
        )
    return names


def check_rows(y: np.ndarray, labels: Sequence[str]) -> None:
    """Every class has rows to learn from, and every row a class.

    Raises:
        ValueError: the target does not fit the names.
    """
    count = np.bincount(y, minlength=len(labels))
    if len(count) > len(labels):
        raise ValueError(f"the target goes up to {y.max()}, and there are {len(labels)} classes")
    if absent := [name for name, rows in zip(labels, count) if not rows]:
        raise ValueError(f"no row of the train split is of the classes {absent}")


def softmax(margins: np.ndarray) -> np.ndarray:
    """Probabilities of margins of shape (rows, classes), a row at a time.

    Added up class by class, so that a row gets the same bits alone and among others.
    """
    shares = np.exp(margins - margins.max(axis=1)[:, None])
    total = np.zeros(len(margins))
    for column in shares.T:
        total += column
    return np.asarray(shares / total[:, None], dtype="float64")


def scores(y: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """Out-of-fold scores, for the log and the report.

    Args:
        y: class numbers, shape (rows,).
        probability: shape (rows, classes).
    """
    from sklearn import metrics

    every = np.arange(probability.shape[1])
    said = probability.argmax(axis=1)
    own = probability[np.arange(len(y)), y]
    found = {
        "accuracy": metrics.accuracy_score(y, said),
        # as many classes as are ahead of the true one, ties counting against it
        "top_3_accuracy": np.mean((probability >= own[:, None]).sum(axis=1) <= 3),
        "macro_f1": metrics.f1_score(y, said, labels=every, average="macro", zero_division=0),
        "log_loss": metrics.log_loss(y, probability, labels=every),
    }
    log.info(
        "Cross-validation: %s.", ", ".join(f"{name} {value:.4f}" for name, value in found.items())
    )
    return {name: float(value) for name, value in found.items()}


def columns_of(probability: np.ndarray, one: str, each: str) -> dict[str, np.ndarray]:
    """Predictions as named columns: `one` for two classes, else `each` with the class's number."""
    if probability.ndim == 1:
        return {one: probability}
    return {f"{each}{number}": column for number, column in enumerate(probability.T)}


def named(probability: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Predictions as columns that carry the classes' names; `probability` where there are two."""
    if probability.ndim == 1:
        return {"probability": probability}
    return dict(zip(names, probability.T))
