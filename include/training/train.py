"""Train one candidate: SageMaker script mode, and the same file as a local child process.

    SM_CHANNEL_TRAIN    folder with train.csv (target first, then the features; one header row)
                        and transformation.json, which travels with the model
    SM_MODEL_DIR        receives the model, transformation.json and model.json
    SM_OUTPUT_DATA_DIR  receives cross_validation.csv: the out-of-fold predictions

Every argument this script does not know is a hyperparameter of the algorithm.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import shutil
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import algorithms

log = logging.getLogger("train")


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the channel, train, choose the threshold, save."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    started = time.monotonic()
    options, hyperparameters = parse(arguments)
    names, x, y = read_channel(Path(options.train))
    log.info("Training %s with %s.", options.algorithm, hyperparameters or "its defaults")
    log.info("%s rows, %d features, %.2f %% positive.", f"{len(y):,}", len(names), 100 * y.mean())
    folds = fold_count(y, options.folds)
    out_of_fold = cross_validate(options, hyperparameters, x, y, folds) if folds else None
    threshold, rule = choose_threshold(options, y, out_of_fold)
    model = algorithms.fit(options.algorithm, hyperparameters, x, y, options.seed)
    folder = Path(options.model_dir)
    folder.mkdir(parents=True, exist_ok=True)
    algorithms.save(options.algorithm, model, folder)
    shutil.copyfile(Path(options.train) / "transformation.json", folder / "transformation.json")
    facts = {
        "algorithm": options.algorithm,
        "hyperparameters": hyperparameters,
        "features": names,
        "threshold": threshold,
        "threshold_rule": rule,
        "rows": len(y),
        "cross_validation": scores(y, out_of_fold, threshold) if out_of_fold is not None else {},
        "importance": algorithms.importance(options.algorithm, model, names),
        "versions": versions(),
    }
    (folder / "model.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    save_out_of_fold(Path(options.output_data_dir), y, out_of_fold)
    log.info("Trained in %.1f s. Threshold %.4f: %s.", time.monotonic() - started, threshold, rule)


def parse(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, dict[str, Any]]:
    """The script's own options, and the hyperparameters: `--name value` pairs it does not know."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter,
        allow_abbrev=False,  # else a hyperparameter could pass for the start of an option
    )  # fmt: skip
    parser.add_argument(
        "--algorithm", required=True, help="xgboost, lightgbm, logistic_regression, ..."
    )
    parser.add_argument("--threshold", type=float, help="a fixed decision threshold")
    parser.add_argument(
        "--maximise", choices=["accuracy", "f1"], help="choose the threshold by this metric"
    )
    parser.add_argument("--folds", type=int, default=5, help="folds of the cross-validation")
    parser.add_argument("--seed", type=int, default=0)
    environment = os.environ
    parser.add_argument("--train", default=environment.get("SM_CHANNEL_TRAIN"))
    parser.add_argument("--model-dir", default=environment.get("SM_MODEL_DIR"))
    parser.add_argument("--output-data-dir", default=environment.get("SM_OUTPUT_DATA_DIR"))
    options, rest = parser.parse_known_args(arguments)
    if len(rest) % 2 or not all(name.startswith("--") for name in rest[::2]):
        parser.error(f"hyperparameters are `--name value` pairs; got {rest}")
    return options, {name[2:]: value_of(text) for name, text in zip(rest[::2], rest[1::2])}


def value_of(text: str) -> Any:
    """A hyperparameter's value: number or truth value where the text is one."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, (bool, int, float)) else text


def read_channel(folder: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Feature names, features (float64) and target (0/1) of train.csv."""
    # Exact numbers are the default of pandas 3, and an option before.
    exact = {} if int(pd.__version__.split(".")[0]) >= 3 else {"float_precision": "round_trip"}
    frame = pd.read_csv(folder / "train.csv", **exact)
    x = np.ascontiguousarray(frame.iloc[:, 1:].to_numpy(dtype="float64"))
    return list(frame.columns[1:]), x, frame.iloc[:, 0].to_numpy(dtype="int64")


def fold_count(y: np.ndarray, wanted: int) -> int:
    """As many folds as wanted and as the rarer class allows; 0 where it allows none."""
    folds = min(wanted, int(np.bincount(y, minlength=2).min()))
    return folds if folds >= 2 else 0


def cross_validate(
    options: argparse.Namespace,
    hyperparameters: dict[str, Any],
    x: np.ndarray,
    y: np.ndarray,
    folds: int,
) -> np.ndarray:
    """Out-of-fold probabilities of the train split, shape (rows,)."""
    from sklearn.model_selection import StratifiedKFold

    probability = np.empty(len(y))
    splitter = StratifiedKFold(folds, shuffle=True, random_state=options.seed)
    for number, (inside, outside) in enumerate(splitter.split(x, y), start=1):
        started = time.monotonic()
        model = algorithms.fit(
            options.algorithm, hyperparameters, x[inside], y[inside], options.seed
        )
        probability[outside] = algorithms.predict(options.algorithm, model, x[outside])
        log.info(
            "Cross-validation: fold %d of %d done in %.1f s.",
            number,
            folds,
            time.monotonic() - started,
        )
    return probability


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


def scores(y: np.ndarray, probability: np.ndarray, threshold: float) -> dict[str, float]:
    """Out-of-fold scores, for the log and the report."""
    from sklearn import metrics

    said = probability >= threshold
    found = {
        "accuracy": metrics.accuracy_score(y, said),
        "precision": metrics.precision_score(y, said, zero_division=0),
        "recall": metrics.recall_score(y, said, zero_division=0),
        "f1": metrics.f1_score(y, said, zero_division=0),
        "roc_auc": metrics.roc_auc_score(y, probability),
        "log_loss": metrics.log_loss(y, probability, labels=[0, 1]),
        "brier_score": metrics.brier_score_loss(y, probability),
    }
    log.info(
        "Cross-validation: %s.", ", ".join(f"{name} {value:.4f}" for name, value in found.items())
    )
    return {name: float(value) for name, value in found.items()}


def save_out_of_fold(folder: Path, y: np.ndarray, probability: np.ndarray | None) -> None:
    """Write the out-of-fold predictions, in the order of train.csv."""
    if probability is not None:
        folder.mkdir(parents=True, exist_ok=True)
        frame = pd.DataFrame({"target": y, "probability": probability})
        frame.to_csv(folder / "cross_validation.csv", index=False)


def versions() -> dict[str, str]:
    """Versions of what trained the model."""
    found = {"python": platform.python_version()}
    for name in ("numpy", "pandas", "scikit-learn", "xgboost", "xgboost-cpu", "lightgbm", "skops"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    main()
