"""The algorithms a candidate can name: fit, predict, save and load, in formats that run no code.

Self-contained and good for Python 3.9: it is sent to where training and inference run. A model is
whatever `fit` returns; `predict` gives the probability of the positive class, or one of each class.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import boosting
from balance import weights_of
from boosting import THREADS
from checkpoints import Checkpoints
from classes import softmax

FORMATS = {"xgboost": "model.ubj", "lightgbm": "model.txt"}  # else skops
# What a skops file may hold besides plain scikit-learn and numpy types: the C struct of a tree.
TRUSTED = ("sklearn.tree._tree.Tree",)
LINES = ("logistic_regression", "multinomial_logistic_regression")


def model_file(algorithm: str) -> str:
    """Name of the file a model is saved in."""
    return FORMATS.get(algorithm, "model.skops")


def fit(
    algorithm: str,
    hyperparameters: dict[str, Any],
    x: np.ndarray,
    y: np.ndarray,
    seed: int,
    kept: Checkpoints | None = None,
    balance: str = "none",
) -> Any:
    """Train one model on `x` (float64, rows by features) and `y` (0/1, or the class's number).

    Boosted trees go on from the checkpoint in `kept`, and keep theirs there. `balance` is one of
    balance.CHOICES.

    Raises:
        ValueError: the algorithm or a hyperparameter is unknown.
    """
    weights = weights_of(y, balance)
    if algorithm == "xgboost":
        return boosting.fit_xgboost(hyperparameters, x, y, seed, kept or Checkpoints(), weights)
    if algorithm == "lightgbm":
        return boosting.fit_lightgbm(hyperparameters, x, y, seed, kept or Checkpoints(), weights)
    return _fit_scikit_learn(algorithm, hyperparameters, x, y, seed, weights)


def _fit_scikit_learn(
    algorithm: str,
    hyperparameters: dict[str, Any],
    x: np.ndarray,
    y: np.ndarray,
    seed: int,
    weights: np.ndarray | None,
) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    estimator = _estimator(algorithm, hyperparameters, seed)
    if algorithm in LINES:
        model = make_pipeline(StandardScaler(), estimator)
        return model.fit(x, y, **{f"{model.steps[-1][0]}__sample_weight": weights})
    estimator.fit(x, y, sample_weight=weights)
    if algorithm == "random_forest":
        estimator.n_jobs = None  # threads would add the trees up in the order they happen to end
    return estimator


def _estimator(algorithm: str, hyperparameters: dict[str, Any], seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    makers: dict[str, Any] = {
        "logistic_regression": LogisticRegression,
        "multinomial_logistic_regression": LogisticRegression,
        "decision_tree": DecisionTreeClassifier,
        "random_forest": lambda **given: RandomForestClassifier(**{"n_jobs": THREADS, **given}),
    }
    if algorithm not in makers:
        raise ValueError(f"unknown algorithm {algorithm!r}; write one of {[*FORMATS, *makers]}")
    known = set(makers[algorithm]().get_params())
    if unknown := sorted(set(hyperparameters) - known):
        raise ValueError(f"{algorithm} has no hyperparameter {unknown}; it has {sorted(known)}")
    return makers[algorithm](**{"random_state": seed, **hyperparameters})


def predict(algorithm: str, model: Any, x: np.ndarray) -> np.ndarray:
    """Probability of the positive class, float64 of shape (rows,); of several classes, of each.

    A row gets the same bits alone and among others, whatever the number of threads.
    """
    if algorithm == "xgboost":
        return np.asarray(model.inplace_predict(x), dtype="float64")
    if algorithm == "lightgbm":
        return np.asarray(model.predict(x), dtype="float64")
    if algorithm == "logistic_regression":
        return _logistic(model, x)
    if algorithm == "multinomial_logistic_regression":
        return _multinomial(model, x)
    return np.asarray(model.predict_proba(x)[:, 1], dtype="float64")


def _logistic(model: Any, x: np.ndarray) -> np.ndarray:
    """Summed column by column: a matrix product rounds a row differently alone and among others."""
    from scipy.special import expit

    scaler, estimator = model
    margin = np.full(len(x), estimator.intercept_[0])
    for column, weight in zip(scaler.transform(x).T, estimator.coef_[0]):
        margin += column * weight
    return np.asarray(expit(margin), dtype="float64")


def _multinomial(model: Any, x: np.ndarray) -> np.ndarray:
    """Probabilities of shape (rows, classes), summed column by column as in `_logistic`."""
    scaler, estimator = model
    intercepts, weights = estimator.intercept_, estimator.coef_
    if len(weights) == 1:  # of two classes, scikit-learn keeps one line
        intercepts, weights = np.append(0.0, intercepts), np.vstack([0 * weights, weights])
    margins = np.tile(intercepts, (len(x), 1))
    for column, weight in zip(scaler.transform(x).T, weights.T):
        margins += column[:, None] * weight
    return softmax(margins)


def importance(algorithm: str, model: Any, names: Sequence[str]) -> list[tuple[str, float]]:
    """Share of each feature, largest first.

    Gain for boosted trees, impurity decrease for trees and forests, the absolute coefficient of the
    standardised feature for logistic regression (the mean over classes where there are several).
    """
    if algorithm == "xgboost":
        gains = model.get_score(importance_type="total_gain")
        values = np.array([gains.get(f"f{place}", 0.0) for place in range(len(names))])
    elif algorithm == "lightgbm":
        values = np.asarray(model.feature_importance("gain"))
    elif algorithm == "logistic_regression":
        values = np.abs(model[-1].coef_[0])
    elif algorithm == "multinomial_logistic_regression":
        values = np.abs(model[-1].coef_).mean(axis=0)
    else:
        values = model.feature_importances_
    shares = values / (values.sum() or 1.0)
    return sorted(
        ((name, float(share)) for name, share in zip(names, shares)), key=lambda item: -item[1]
    )


def save(algorithm: str, model: Any, folder: Path) -> None:
    """Write the model; equal models give equal bytes."""
    path = folder / model_file(algorithm)
    if algorithm in FORMATS:
        model.save_model(str(path))
        return
    from skops import io as skops_io

    path.write_bytes(_repeatable(skops_io.dumps(model)))


def load(algorithm: str, folder: Path) -> Any:
    """Read a model that `save` wrote. Nothing in the file is executed.

    Raises:
        ValueError: the file holds a type that is no part of a known model.
    """
    path = folder / model_file(algorithm)
    if algorithm == "xgboost":
        import xgboost

        return xgboost.Booster({"nthread": THREADS}, model_file=str(path))
    if algorithm == "lightgbm":
        import lightgbm

        return lightgbm.Booster(model_file=str(path))
    from skops import io as skops_io

    foreign = sorted(set(skops_io.get_untrusted_types(file=path)) - set(TRUSTED))
    if foreign:
        raise ValueError(f"{path} holds the types {foreign}, which no model of this project has")
    with warnings.catch_warnings():
        # scikit-learn warns of models of any other version, however near. That the images' models
        # predict the same here is proved by tests/training/containers.
        warnings.filterwarnings("ignore", message="Trying to unpickle estimator")
        return skops_io.load(path, trusted=list(TRUSTED))


def _repeatable(archive: bytes) -> bytes:
    """The same skops archive without what differs from one run to the next.

    skops numbers objects by their memory address, in the schema and in file names; here they are
    numbered in the order of the schema. Time stamps are the start of the epoch zip knows.
    """
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(target, "w") as new:
        schema = old.read("schema.json").decode("utf-8")
        addresses = dict.fromkeys(re.findall(r'"(?:__id__": |file": ")(\d+)', schema))
        number = {address: str(place) for place, address in enumerate(addresses, start=1)}
        contents = {
            re.sub(r"^\d+", lambda found: number[found[0]], name): old.read(name)
            for name in old.namelist()
        }
        contents["schema.json"] = re.sub(
            r'("__id__": |"file": ")(\d+)', lambda found: found[1] + number[found[2]], schema
        ).encode("utf-8")
        for name in sorted(contents):
            new.writestr(
                zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), contents[name], zipfile.ZIP_DEFLATED
            )
    return target.getvalue()
