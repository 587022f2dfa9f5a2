"""Train one candidate: SageMaker script mode, and the same file as a local child process.

    SM_CHANNEL_TRAIN    folder with train.csv (target first, then the features; one header row)
                        and transformation.json (with `classes` where there are several); all
                        files but train.csv travel with the model
    SM_MODEL_DIR        receives the model, transformation.json and model.json
    SM_OUTPUT_DATA_DIR  receives cross_validation.csv: the out-of-fold predictions
    SM_CHECKPOINT_DIR   keeps finished folds and boosting rounds for the next attempt, should this
                        one be interrupted; /opt/ml/checkpoints where that folder exists

Every argument this script does not know is a hyperparameter of the algorithm.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import re
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
import balance
import calibration
import classes
from checkpoints import Checkpoints, checkpoints_of, default_folder
from cross_validation import (
    OutOfFold,
    calibrated,
    cross_validate,
    fold_count,
    ranking_scores,
    scores,
)
from early_stopping import patience_of, settled
from threshold import choose_threshold

log = logging.getLogger("train")


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the channel, train, choose the threshold, save."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    started = time.monotonic()
    options, hyperparameters = parse(arguments)
    names, x, y = read_channel(Path(options.train))
    patience_of(options.algorithm, hyperparameters)  # an error before any work
    log.info("Training %s with %s.", options.algorithm, hyperparameters or "its defaults")
    state = json.loads((Path(options.train) / "transformation.json").read_text(encoding="utf-8"))
    labels = classes.classes_of(options.algorithm, state)
    if labels:
        classes.check_rows(y, labels)
    told = f"{len(labels)} classes" if labels else f"{100 * y.mean():.2f} % positive"
    log.info("%s rows, %d features, %s.", f"{len(y):,}", len(names), told)
    folds = fold_count(y, options.folds, len(labels) or 2)
    kept = kept_of(options, hyperparameters)
    found = cross_validate(options, hyperparameters, x, y, folds, kept) if folds else None
    fitted, out_of_fold = calibrated(options, y, found) if found else (None, None)
    threshold, rule = None, classes.RULE
    if not labels:
        threshold, rule = choose_threshold(options, y, out_of_fold)
    settings = settled(hyperparameters, found.rounds if found else [])
    model = algorithms.fit(options.algorithm, settings, x, y, options.seed, kept, options.balance)
    folder = Path(options.model_dir)
    folder.mkdir(parents=True, exist_ok=True)
    algorithms.save(options.algorithm, model, folder)
    copy_companions(Path(options.train), folder)
    judged = scores(options, y, out_of_fold, threshold) if out_of_fold is not None else {}
    facts = {
        "algorithm": options.algorithm,
        "hyperparameters": hyperparameters,
        "features": names,
        **({"classes": labels} if labels else {}),
        "threshold": threshold,
        "threshold_rule": rule,
        "rows": len(y),
        "cross_validation": judged,
        **extra_facts(options, y, found, settings, fitted),
        "importance": algorithms.importance(options.algorithm, model, names),
        "versions": versions(),
    }
    (folder / "model.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    save_out_of_fold(Path(options.output_data_dir), y, found, out_of_fold)
    decision = f"Threshold {threshold:.4f}: {rule}" if threshold is not None else f"Says {rule}"
    log.info("Trained in %.1f s. %s.", time.monotonic() - started, decision)


def extra_facts(
    options: argparse.Namespace,
    y: np.ndarray,
    found: OutOfFold | None,
    settings: dict[str, Any],
    fitted: dict[str, Any] | None,
) -> dict[str, Any]:
    """What model.json says of early stopping, balance and calibration, where they were asked for.

    The probabilities of the model are those after `calibration`; the scores without it are there
    to compare.
    """
    facts: dict[str, Any] = {}
    if found and found.rounds:
        facts["rounds"] = settings["num_round"]
        facts["rounds_of_folds"] = found.rounds
    if options.balance != "none":
        facts["balance"] = options.balance
    if found and fitted:
        facts["calibration"] = fitted
        facts["uncalibrated"] = ranking_scores(y, found.probability)
    return facts


def copy_companions(channel: Path, folder: Path) -> None:
    """Copy what travels with the model: every file beside train.csv."""
    for path in sorted(channel.iterdir()):
        if path.is_file() and path.name != "train.csv":
            shutil.copyfile(path, folder / path.name)


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
    for wrong in ("negative", "positive"):
        parser.add_argument(
            f"--cost_false_{wrong}", type=float, help="choose the threshold that costs least"
        )
    parser.add_argument("--balance", choices=balance.CHOICES, default="none", help="of the classes")
    parser.add_argument("--calibrate", choices=calibration.CHOICES, default="none")
    parser.add_argument("--folds", type=int, default=5, help="folds of the cross-validation")
    parser.add_argument("--seed", type=int, default=0)
    environment = os.environ
    parser.add_argument("--train", default=environment.get("SM_CHANNEL_TRAIN"))
    parser.add_argument("--model-dir", default=environment.get("SM_MODEL_DIR"))
    parser.add_argument("--output-data-dir", default=environment.get("SM_OUTPUT_DATA_DIR"))
    parser.add_argument("--checkpoint-dir", default=default_folder())
    options, rest = parser.parse_known_args(arguments)
    # SageMaker writes a name of one letter with one dash: `-C 0.5`.
    if len(rest) % 2 or not all(re.match("--.|-.$", name) for name in rest[::2]):
        parser.error(f"hyperparameters are `--name value` pairs; got {rest}")
    return options, {name.lstrip("-"): value_of(text) for name, text in zip(rest[::2], rest[1::2])}


def value_of(text: str) -> Any:
    """A hyperparameter's value: number or truth value where the text is one."""
    if text in ("True", "False"):  # as SageMaker passes what was sent as `true` and `false`
        return text == "True"
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, (bool, int, float)) else text


def kept_of(options: argparse.Namespace, hyperparameters: dict[str, Any]) -> Checkpoints:
    """What earlier attempts at this very training kept."""
    settings = {
        "algorithm": options.algorithm, "hyperparameters": hyperparameters, "seed": options.seed,
        "folds": options.folds, "balance": options.balance, "versions": versions(),
    }  # fmt: skip
    return checkpoints_of(options.checkpoint_dir, Path(options.train) / "train.csv", settings)


def read_channel(folder: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Feature names, features (float64) and target (0/1 or class numbers) of train.csv."""
    # Exact numbers are the default of pandas 3, and an option before.
    exact = {} if int(pd.__version__.split(".")[0]) >= 3 else {"float_precision": "round_trip"}
    frame = pd.read_csv(folder / "train.csv", **exact)
    x = np.ascontiguousarray(frame.iloc[:, 1:].to_numpy(dtype="float64"))
    return list(frame.columns[1:]), x, frame.iloc[:, 0].to_numpy(dtype="int64")


def save_out_of_fold(
    folder: Path, y: np.ndarray, found: OutOfFold | None, calibrated: np.ndarray | None
) -> None:
    """Write the out-of-fold predictions, in the order of train.csv; raw ones beside calibrated."""
    if found is None or calibrated is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    columns = classes.columns_of(calibrated, "probability", "p_")
    if calibrated is not found.probability:
        columns["uncalibrated"] = found.probability
    frame = pd.DataFrame({"target": y, **columns})
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
