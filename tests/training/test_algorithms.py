"""The algorithms: they learn, repeat themselves, and load nothing that is not theirs."""

from __future__ import annotations

import importlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from skops import io as skops_io

import algorithms
from checkpoints import Checkpoints
from tests.training.conftest import HYPERPARAMETERS

every_algorithm = pytest.mark.parametrize("algorithm", sorted(HYPERPARAMETERS))


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    """The first feature decides, the second is noise, the third is constant."""
    random = np.random.default_rng(0)
    x = np.column_stack([random.random((300, 2)), np.ones(300)])
    return x, (x[:, 0] > 0.6).astype("int64")


def fitted(algorithm: str, rows: tuple[np.ndarray, np.ndarray], seed: int = 1):
    return algorithms.fit(algorithm, dict(HYPERPARAMETERS[algorithm]), *rows, seed)


@every_algorithm
def test_it_learns_and_names_what_matters(rows, algorithm):
    model = fitted(algorithm, rows)
    p = algorithms.predict(algorithm, model, rows[0])
    assert p.dtype == np.float64
    assert ((p > 0.5) == rows[1]).mean() > 0.9
    ranking = algorithms.importance(algorithm, model, ["first", "noise", "constant"])
    assert ranking[0][0] == "first"
    assert dict(ranking)["constant"] == 0
    assert sum(share for _, share in ranking) == pytest.approx(1)


@every_algorithm
def test_a_saved_model_predicts_the_same_and_its_bytes_repeat(rows, algorithm, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        algorithms.save(algorithm, fitted(algorithm, rows), tmp_path / name)
    file = algorithms.model_file(algorithm)
    assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    model = algorithms.load(algorithm, tmp_path / "one")
    before = algorithms.predict(algorithm, fitted(algorithm, rows), rows[0])
    assert np.array_equal(algorithms.predict(algorithm, model, rows[0]), before)


@every_algorithm
def test_one_row_gets_the_answer_it_gets_among_many(rows, algorithm):
    model = fitted(algorithm, rows)
    whole = algorithms.predict(algorithm, model, rows[0])
    for place in (0, 17, 299):
        assert algorithms.predict(algorithm, model, rows[0][[place]])[0] == whole[place]


@pytest.mark.parametrize("algorithm", ["xgboost", "lightgbm", "decision_tree", "random_forest"])
def test_trees_take_missing_values(rows, algorithm):
    x = rows[0].copy()
    x[::7, 0] = np.nan
    model = algorithms.fit(algorithm, dict(HYPERPARAMETERS[algorithm]), x, rows[1], 1)
    assert np.isfinite(algorithms.predict(algorithm, model, x)).all()


def test_a_model_without_a_split_has_no_importance(rows):
    model = algorithms.fit("decision_tree", {"max_depth": 1}, np.ones((10, 2)), rows[1][:10], 0)
    assert algorithms.importance("decision_tree", model, ["a", "b"]) == [("a", 0.0), ("b", 0.0)]


class Foreign:
    """A type that no model of the project has."""


@pytest.mark.parametrize("algorithm", ["logistic_regression", "decision_tree", "random_forest"])
def test_a_foreign_type_in_a_model_file_is_refused(algorithm, tmp_path):
    skops_io.dump({"model": Foreign()}, tmp_path / "model.skops")
    with pytest.raises(ValueError, match=r"holds the types \[.*Foreign'\], which no model"):
        algorithms.load(algorithm, tmp_path)


@pytest.mark.parametrize(
    ("algorithm", "known"),
    [
        ("xgboost", {"eta": 0.1, "learning_rate": 0.1, "tree_method": "hist", "eval_metric": "auc",
                     "scale_pos_weight": 2, "objective": "binary:logistic", "lambda": 1}),
        ("lightgbm", {"learning_rate": 0.1, "lambda_l2": 1, "min_child_samples": 5,
                      "is_unbalance": True, "metric": "auc", "boosting": "gbdt"}),
        ("logistic_regression", {"class_weight": "balanced", "max_iter": 50}),
        ("random_forest", {"max_features": "sqrt", "n_jobs": 1}),
    ],
)  # fmt: skip
def test_what_an_algorithm_knows_is_accepted(rows, algorithm, known):
    assert algorithms.fit(algorithm, known, *rows, 0) is not None


@every_algorithm
def test_what_an_algorithm_does_not_know_is_an_error(rows, algorithm):
    with pytest.raises(ValueError, match=rf"{algorithm} has no hyperparameter \['colour'\]"):
        algorithms.fit(algorithm, {"colour": 3}, *rows, 0)


def test_a_hyperparameter_that_is_not_known_is_found_in_any_thread(rows):
    """XGBoost names it only to the thread that imported it first: this one, at the latest."""
    importlib.import_module("xgboost")
    with ThreadPoolExecutor(1) as thread:
        found = thread.submit(algorithms.fit, "xgboost", {"colour": 3}, *rows, 0).exception()
    assert "xgboost has no hyperparameter ['colour']" in str(found)


def test_the_callers_hyperparameters_stay_as_they_are(rows):
    for algorithm in ("xgboost", "lightgbm"):
        given = {"num_round": 3}
        algorithms.fit(algorithm, given, *rows, 0)
        assert given == {"num_round": 3}


@pytest.mark.parametrize("varies", [False, True])
def test_a_fit_ends_where_no_split_is_left(varies, tmp_path):
    """Constant features, or one whose two values are soon learnt: rounds would add no tree."""
    y = np.arange(400) % 4 == 0
    x = np.column_stack([y if varies else np.ones(400), np.zeros(400)]).astype("float64")
    settings = {"num_round": 5000, "learning_rate": 0.5, "min_sum_hessian_in_leaf": 0.5}
    kept = [Checkpoints(None), Checkpoints(tmp_path), Checkpoints(tmp_path)]
    models = [algorithms.fit("lightgbm", settings, x, y.astype("int64"), 1, each) for each in kept]
    assert models[0].current_iteration() < 100
    p = algorithms.predict("lightgbm", models[0], x)
    assert p.mean() == pytest.approx(0.25, abs=0.05)
    assert (p[y].min() > p[~y].max()) == varies
    assert len({model.model_to_string() for model in models}) == 1  # taken up at its end


def test_what_lightgbm_repeats_with_every_tree_is_logged_once(rows, caplog):
    with caplog.at_level("INFO", "train"):
        algorithms.fit("lightgbm", {"num_round": 20, "num_leaves": 300}, *rows, 1)
    assert sum("No further splits" in line for line in caplog.messages) == 1
