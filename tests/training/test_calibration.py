"""Calibration, balance, early stopping and the threshold that costs least."""

from __future__ import annotations

import json

import numpy as np
import pytest

import algorithms
import calibration
import train as script
from balance import weights_of
from checkpoints import Checkpoints
from early_stopping import StoppedFolds, patience_of
from millrace.datasets import Candidate, Decision
from millrace.training import MODEL, model_facts, train_arguments, train_locally
from threshold import Cost, costs_by_threshold, mean_cost

both = pytest.mark.parametrize("method", ["isotonic", "sigmoid"])


def rows(count: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """Features and a target that one row in eight has."""
    random = np.random.default_rng(1)
    x = random.normal(size=(count, 5))
    margin = 1.2 * x[:, 0] - x[:, 1] - 2.6
    return x, (random.random(count) < 1 / (1 + np.exp(-margin))).astype("int64")


@both
def test_calibration_brings_back_what_balance_distorts(method):
    x, y = rows()
    true = 1 / (1 + np.exp(-(1.2 * x[:, 0] - x[:, 1] - 2.6)))
    odds = 7 * true / (1 - true)
    distorted = odds / (1 + odds)
    fitted = json.loads(json.dumps(calibration.fit(method, distorted, y)))
    repaired = calibration.apply(fitted, distorted)
    assert abs(repaired - true).mean() < 0.02 < abs(distorted - true).mean() / 5
    assert np.all(np.diff(repaired[np.argsort(distorted, kind="stable")]) >= 0)
    one_by_one = [calibration.apply(fitted, distorted[at : at + 1])[0] for at in range(200)]
    assert one_by_one == repaired[:200].tolist()
    ends = calibration.apply(fitted, np.array([0.0, 1.0]))
    assert np.all((ends >= 0) & (ends <= 1))


@both
def test_a_fold_has_no_part_in_its_own_calibration(method):
    x, y = rows(400)
    probability, fold = 1 / (1 + np.exp(-x[:, 0])), np.arange(400) % 4
    found = calibration.cross_fitted(method, probability, y, fold)
    turned = np.where(fold == 2, 1 - y, y)
    again = calibration.cross_fitted(method, probability, turned, fold)
    assert np.array_equal(found[fold == 2], again[fold == 2])
    assert not np.array_equal(found[fold == 1], again[fold == 1])


def test_balanced_classes_weigh_the_same_and_a_row_one():
    y = np.array([0, 0, 0, 1])
    weights = weights_of(y, "weights")
    assert weights is not None
    assert weights[y == 0].sum() == pytest.approx(weights[y == 1].sum())
    assert weights.mean() == pytest.approx(1)
    assert weights_of(y, "none") is None


def test_the_threshold_costs_as_little_as_any():
    x, y = rows(300)
    probability, cost = np.round(1 / (1 + np.exp(-x[:, 0])), 2), Cost(10, 1)
    thresholds, values = costs_by_threshold(y, probability, cost)
    assert [mean_cost(y, probability >= cut, cost) for cut in thresholds] == pytest.approx(values)
    everywhere = [mean_cost(y, probability >= cut, cost) for cut in np.linspace(0, 1, 1001)]
    assert values.min() == pytest.approx(min(everywhere))


@pytest.mark.parametrize("algorithm", ["lightgbm", "xgboost"])
def test_a_fold_has_the_mean_of_the_rounds_of_the_others(algorithm, tmp_path):
    x, y = rows(900)
    fold = np.arange(900) % 3
    folds = [(np.flatnonzero(fold != n), np.flatnonzero(fold == n)) for n in range(3)]
    hyperparameters = {"num_round": 400, "early_stopping_rounds": 5, "learning_rate": 0.2}
    stopped = StoppedFolds(algorithm, hyperparameters, "weights", 3, Checkpoints(tmp_path))
    stopped.fit(x, y, folds)
    assert all(1 <= rounds < 200 for rounds in stopped.rounds)
    stopped.rounds = [stopped.rounds[0], 30, 31]  # further than the first fold was trained
    model = stopped.model(1, x, y, folds[0][0])
    length = model.num_boosted_rounds() if algorithm == "xgboost" else model.current_iteration()
    assert length == 30
    again = StoppedFolds(algorithm, hyperparameters, "weights", 3, Checkpoints(tmp_path))
    again.fit(x, y, folds)  # from the checkpoints
    again.rounds = stopped.rounds
    predicted = [
        algorithms.predict(algorithm, kept.model(2, x, y, folds[1][0]), x)
        for kept in (stopped, again)
    ]
    assert np.array_equal(*predicted)


def test_what_cannot_stop_early_says_so_first():
    assert patience_of("lightgbm", {}) is None
    with pytest.raises(ValueError, match="lightgbm dart cannot stop early"):
        patience_of("lightgbm", {"early_stopping_rounds": 5, "boosting": "dart"})
    with pytest.raises(ValueError, match="only xgboost and lightgbm stop early"):
        Candidate(algorithm="random_forest", hyperparameters={"early_stopping_rounds": 5})


def test_a_training_with_everything_says_what_it_did(channel, tmp_path):
    candidate = Candidate(
        algorithm="lightgbm", balance="weights", calibrate="sigmoid",
        hyperparameters={"num_round": 300, "num_leaves": 4, "early_stopping_rounds": 10},
    )  # fmt: skip
    decision = Decision.model_validate({"cost": {"false_negative": 10.0, "false_positive": 1.0}})
    arguments = train_arguments(candidate, decision, seed=3)
    options, hyperparameters = script.parse(arguments)
    assert (options.cost_false_negative, options.cost_false_positive) == (10, 1)
    assert hyperparameters == candidate.hyperparameters
    train_locally(channel.train_folder, arguments, tmp_path, timeout=200)
    facts = model_facts(tmp_path / MODEL)
    assert len(facts["rounds_of_folds"]) == 5
    assert facts["rounds"] == round(np.mean(facts["rounds_of_folds"]))
    assert facts["balance"] == "weights"
    assert facts["calibration"]["method"] == "sigmoid"
    found, before = facts["cross_validation"], facts["uncalibrated"]
    assert found["brier_score"] < before["brier_score"] + 0.01
    assert 0 < found["expected_cost"] <= 1
    assert facts["threshold_rule"].startswith(
        f"minimises the expected cost ({found['expected_cost']:.4f}"
    )
