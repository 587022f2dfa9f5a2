"""Early stopping: as many rounds of boosting as rows that the trees have not seen ask for.

Every fold's trees stop where the rows outside the fold stop gaining. Those rows must not choose the
rounds of their own predictions, which would then look better than they are; so a fold predicts with
the mean of the rounds at which the other folds stopped, and the model of all rows has the mean of
all. Self-contained and good for Python 3.9.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from balance import weights_of
from boosting import (
    BOOSTING,
    STEP,
    THREADS,
    WHOLE,
    lightgbm_parameters,
    train_lightgbm,
    train_xgboost,
    xgboost_parameters,
)
from checkpoints import Checkpoints

log = logging.getLogger("train")
PATIENCE = "early_stopping_rounds"
OUTSIDE = "outside"  # what the rows outside a fold are called in the log


def patience_of(algorithm: str, hyperparameters: Mapping[str, Any]) -> int | None:
    """Rounds without a gain that end a fit; None where it does not stop early.

    Raises:
        ValueError: the algorithm, or its kind of boosting, cannot stop early.
    """
    patience = hyperparameters.get(PATIENCE)
    if patience is None:
        return None
    kinds = [str(hyperparameters.get(name)) for name in (*BOOSTING, "booster")]
    whole = sorted({kind for kind in kinds if kind in WHOLE} - {"goss"})
    if algorithm not in ("lightgbm", "xgboost") or whole:
        raise ValueError(
            f"{' '.join([algorithm, *whole])} cannot stop early; take {PATIENCE} out of the spec"
        )
    return int(patience)


def settled(hyperparameters: Mapping[str, Any], rounds: Sequence[int]) -> dict[str, Any]:
    """Hyperparameters of a fit that does not stop early: of the mean of `rounds`.

    Where there are none, `num_round` stays: nothing stopped, or too few rows for folds.
    """
    found = {name: value for name, value in hyperparameters.items() if name != PATIENCE}
    return {**found, "num_round": round(float(np.mean(rounds)))} if len(rounds) else found


class StoppedFolds:
    """The models of all folds, each stopped on the rows outside of it.

    `rounds` are those at which the folds did best, one a fold.
    """

    def __init__(
        self,
        algorithm: str,
        hyperparameters: Mapping[str, Any],
        balance: str,
        seed: int,
        kept: Checkpoints,
    ) -> None:
        self.algorithm, self.hyperparameters = algorithm, hyperparameters
        self.balance, self.seed, self.kept = balance, seed, kept
        self.rounds: list[int] = []
        self._models: list[Any] = []

    def fit(self, x: np.ndarray, y: np.ndarray, folds: Sequence[Any]) -> StoppedFolds:
        """Fit each fold, or take it from the checkpoints."""
        for number, (inside, outside) in enumerate(folds, start=1):
            started = time.monotonic()
            name = f"stopped-{number}"
            content = self.kept.read(name)
            if content is not None:
                log.info("Early stopping: fold %d of %d was done before.", number, len(folds))
            else:
                model, best = self._fit(x, y, inside, outside)
                content = best.to_bytes(8, "little") + _content(self.algorithm, model)
                self.kept.write(name, content)
            self.rounds.append(int.from_bytes(content[:8], "little"))
            self._models.append(_model(self.algorithm, content[8:]))
            log.info(
                "Early stopping: fold %d of %d does best with %d rounds (%.1f s).",
                number,
                len(folds),
                self.rounds[-1],
                time.monotonic() - started,
            )
        return self

    def model(self, number: int, x: np.ndarray, y: np.ndarray, inside: np.ndarray) -> Any:
        """The model of a fold, with the mean of the rounds of the other folds."""
        others = [rounds for place, rounds in enumerate(self.rounds, start=1) if place != number]
        rounds = settled({}, others)["num_round"]
        model = self._models[number - 1]
        if _length(self.algorithm, model) < rounds:  # it stopped long before the others did
            model, _ = self._fit(x, y, inside, None, rounds)
        return _first(self.algorithm, model, rounds)

    def _fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        inside: np.ndarray,
        outside: np.ndarray | None,
        rounds: int | None = None,
    ) -> tuple[Any, int]:
        fit = _lightgbm if self.algorithm == "lightgbm" else _xgboost
        samples = [
            None if rows is None else (x[rows], y[rows], weights_of(y[rows], self.balance))
            for rows in (inside, outside)
        ]
        settings = settled(self.hyperparameters, [] if rounds is None else [rounds])
        return fit(settings, self.seed, int(self.hyperparameters[PATIENCE]), *samples)


def _lightgbm(
    hyperparameters: dict[str, Any], seed: int, patience: int, inside: Any, outside: Any
) -> tuple[Any, int]:
    import lightgbm

    params = lightgbm_parameters(hyperparameters, seed)
    rounds = int(params.pop("num_round", 100))
    x, y, weights = inside
    data, more = lightgbm.Dataset(x, label=y, weight=weights), {}
    if outside is not None:
        x, y, weights = outside
        stop = lightgbm.early_stopping(patience, first_metric_only=True, verbose=False)
        more = {
            "valid_sets": [lightgbm.Dataset(x, label=y, weight=weights, reference=data)],
            "valid_names": [OUTSIDE],
            "callbacks": [stop, lightgbm.log_evaluation(STEP)],
        }
    model = train_lightgbm(params, data, rounds, keep_training_booster=True, **more)
    return model, model.best_iteration or rounds


def _xgboost(
    hyperparameters: dict[str, Any], seed: int, patience: int, inside: Any, outside: Any
) -> tuple[Any, int]:
    import xgboost

    params = xgboost_parameters(hyperparameters, seed)
    rounds = int(params.pop("num_round", 100))
    x, y, weights = inside
    data, more = xgboost.DMatrix(x, label=y, weight=weights), {}
    if outside is not None:
        x, y, weights = outside
        monitor = xgboost.callback.EvaluationMonitor(period=STEP, logger=_say)
        more = {
            "evals": [(xgboost.DMatrix(x, label=y, weight=weights), OUTSIDE)],
            "early_stopping_rounds": patience, "verbose_eval": False, "callbacks": [monitor],
        }  # fmt: skip
    model = train_xgboost(params, data, rounds, **more)
    return model, rounds if outside is None else model.best_iteration + 1


def _say(line: str) -> None:
    log.info("%s", line.strip())


def _content(algorithm: str, model: Any) -> bytes:
    if algorithm == "lightgbm":
        return bytes(model.model_to_string(num_iteration=-1), "utf-8")
    return bytes(model.save_raw("ubj"))


def _model(algorithm: str, content: bytes) -> Any:
    if algorithm == "lightgbm":
        import lightgbm

        return lightgbm.Booster(model_str=content.decode("utf-8"))
    import xgboost

    return xgboost.Booster({"nthread": THREADS}, model_file=bytearray(content))


def _length(algorithm: str, model: Any) -> int:
    """Rounds of a model."""
    found = model.current_iteration() if algorithm == "lightgbm" else model.num_boosted_rounds()
    return int(found)


def _first(algorithm: str, model: Any, rounds: int) -> Any:
    """The model as it was after so many rounds."""
    if algorithm == "lightgbm":
        import lightgbm

        return lightgbm.Booster(model_str=model.model_to_string(num_iteration=rounds))
    return model[:rounds]
