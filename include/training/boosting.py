"""Boosted trees, trained a number of rounds at a time so that an interruption costs little.

Self-contained and good for Python 3.9. However often a fit is interrupted and taken up again, the
model is the same to the last bit.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from checkpoints import Checkpoints

log = logging.getLogger("train")
THREADS = int(os.environ.get("SM_NUM_CPUS") or os.cpu_count() or 1)
STEP = 100  # rounds between two checkpoints
CHECKPOINT = "model"
# LightGBM's random draws go on from round to round, which no saved model remembers; so each step
# starts them from a seed of its own, interrupted or not.
SEEDS = ("bagging_seed", "feature_fraction_seed", "extra_seed")
# Kinds of boosting whose next round needs more of the earlier ones than a saved model holds.
WHOLE = ("gblinear", "dart", "goss", "rf", "random_forest")
BOOSTING = ("boosting", "boosting_type", "boost")  # LightGBM's names for the kind


def fit_xgboost(
    hyperparameters: dict[str, Any],
    x: np.ndarray,
    y: np.ndarray,
    seed: int,
    kept: Checkpoints,
    weights: np.ndarray | None = None,
) -> Any:
    """An XGBoost model of `x` (float64, rows by features) and `y` (0/1)."""
    import xgboost

    params = xgboost_parameters(hyperparameters, seed)
    rounds = int(params.pop("num_round", 100))
    step = rounds if params.get("booster") in WHOLE or kept.folder is None else STEP
    data = xgboost.DMatrix(x, label=y, weight=weights)
    saved = kept.read(CHECKPOINT)
    model = xgboost.Booster({"nthread": THREADS}, model_file=bytearray(saved)) if saved else None
    done = _taken_up(model.num_boosted_rounds() if model else 0, rounds)
    while model is None or done < rounds:
        model = train_xgboost(params, data, min(step, rounds - done), xgb_model=model)
        if kept.folder:
            kept.write(CHECKPOINT, bytes(model.save_raw("ubj")))
        done = model.num_boosted_rounds()
    return model


def xgboost_parameters(hyperparameters: dict[str, Any], seed: int) -> dict[str, Any]:
    """The hyperparameters over the project's own defaults."""
    return {
        "objective": "binary:logistic", "seed": seed, "nthread": THREADS,
        "seed_per_iteration": True,  # else the draws of a round depend on where training started
        **hyperparameters,
    }  # fmt: skip


def train_xgboost(params: dict[str, Any], data: Any, rounds: int, **more: Any) -> Any:
    """`xgboost.train`, which names unknown parameters in a warning; here they are an error."""
    import xgboost

    # XGBoost keeps a listener a thread, and gives one only to the thread that imported it first.
    library = xgboost.core._LIB
    library.XGBRegisterLogCallback(library.callback)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = xgboost.train(params, data, rounds, **more)
    _check_xgboost_said([str(warning.message) for warning in caught])
    return model


def _check_xgboost_said(messages: Sequence[str]) -> None:
    unused = [line for text in messages for line in text.splitlines() if "are not used" in line]
    _check_known("xgboost", re.findall(r'"([^"]+)"', " ".join(unused)))
    for text in messages:
        log.warning("%s", text)


def fit_lightgbm(
    hyperparameters: dict[str, Any],
    x: np.ndarray,
    y: np.ndarray,
    seed: int,
    kept: Checkpoints,
    weights: np.ndarray | None = None,
) -> Any:
    """A LightGBM model of `x` (float64, rows by features) and `y` (0/1)."""
    import lightgbm

    params = lightgbm_parameters(hyperparameters, seed)
    rounds = int(params.pop("num_round", 100))
    step = rounds if any(params.get(name) in WHOLE for name in BOOSTING) else STEP
    data = lightgbm.Dataset(x, label=y, weight=weights, free_raw_data=False)
    saved = kept.read(CHECKPOINT)
    model = lightgbm.Booster(model_str=saved.decode("utf-8")) if saved else None
    before, done = -1, _taken_up(model.current_iteration() if model else 0, rounds)
    while model is None or before < done < rounds:
        seeds = {name: params.get(name, seed) + done for name in SEEDS} if done else {}
        model = train_lightgbm({**params, **seeds}, data, min(step, rounds - done),
                               init_model=model)  # fmt: skip
        if kept.folder:
            kept.write(CHECKPOINT, model.model_to_string().encode("utf-8"))
        before, done = done, model.current_iteration()
    if done < rounds:
        log.info("No split is left after %d of %d rounds.", done, rounds)
    return model


def lightgbm_parameters(hyperparameters: dict[str, Any], seed: int) -> dict[str, Any]:
    """The hyperparameters over the project's own defaults."""
    return {
        "objective": "binary", "seed": seed, "num_threads": THREADS, "verbosity": 0,
        "deterministic": True, "force_row_wise": True, **hyperparameters,
    }  # fmt: skip


def train_lightgbm(params: dict[str, Any], data: Any, rounds: int, **more: Any) -> Any:
    """`lightgbm.train`, which names unknown parameters in its log; here they are an error."""
    import lightgbm

    listener = _Listener()
    lightgbm.register_logger(listener)
    model = lightgbm.train(params, data, rounds, **more)
    unknown = re.findall(r"Unknown parameter: (\S+)", "\n".join(listener.lines))
    _check_known("lightgbm", unknown)
    return model


class _Listener:
    """Takes LightGBM's messages, which name unknown parameters and stop nothing.

    What it says again and again, as that a tree grew no further, is logged once.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, line: str) -> None:
        if line not in self.lines:
            self.lines.append(line)
            log.info("%s", line)

    warning = info


def _taken_up(done: int, rounds: int) -> int:
    if done:
        log.info("Going on from a checkpoint: %d of %d rounds are done.", done, rounds)
    return done


def _check_known(algorithm: str, unknown: Sequence[str]) -> None:
    if unknown:
        raise ValueError(
            f"{algorithm} has no hyperparameter {sorted(set(unknown))}; "
            "mend its name or take it out of the spec"
        )
