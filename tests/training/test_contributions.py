"""Contributions are Shapley values: held to their definition, summed over all coalitions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import pytest

import algorithms
import contributions
from contributions import TOLERANCE, Contributions
from contributions import contributions as contributions_of
from tests.training.conftest import HYPERPARAMETERS

FEATURES = 4
Rows = tuple[np.ndarray, np.ndarray]
TREES = ("xgboost", "lightgbm", "decision_tree", "random_forest")
LINES = ("logistic_regression", "multinomial_logistic_regression")


@dataclass
class Node:
    """A node of a tree: a leaf's value, or a split with the share of rows that go left."""

    value: float = 0.0
    feature: int = -1
    goes_left: Callable[[np.ndarray], bool] = bool
    left: Node | None = None
    right: Node | None = None
    rows: float = 0.0

    def expectation(self, x: np.ndarray, known: frozenset[int]) -> float:
        """The tree's answer where only these features are known; else both ways, by rows."""
        if self.left is None or self.right is None:
            return self.value
        if self.feature in known:
            taken = self.left if self.goes_left(x) else self.right
            return taken.expectation(x, known)
        both = (self.left, self.right)
        return sum(n.rows * n.expectation(x, known) for n in both) / sum(n.rows for n in both)


def shapley(trees: list[Node], x: np.ndarray) -> np.ndarray:
    """Shapley values by their definition (Shapley, "A value for n-person games", 1953)."""
    found = np.zeros(FEATURES)
    for feature in range(FEATURES):
        others = [other for other in range(FEATURES) if other != feature]
        for size in range(FEATURES):
            for chosen in combinations(others, size):
                known = frozenset(chosen)
                gain = sum(
                    tree.expectation(x, known | {feature}) - tree.expectation(x, known)
                    for tree in trees
                )
                found[feature] += gain / (FEATURES * comb(FEATURES - 1, size))
    return found


def of_scikit_learn(tree: Any, share: float) -> Node:
    def node(place: int) -> Node:
        rows = float(tree.weighted_n_node_samples[place])
        if tree.children_left[place] < 0:
            one = tree.value[place][0]
            return Node(value=share * float(one[1] / one.sum()), rows=rows)
        feature, cut = int(tree.feature[place]), tree.threshold[place]
        return Node(
            feature=feature, goes_left=lambda x: bool(np.float32(x[feature]) <= cut), rows=rows,
            left=node(tree.children_left[place]), right=node(tree.children_right[place]),
        )  # fmt: skip

    return node(0)


def of_xgboost(model: Any) -> list[Node]:
    table = model.trees_to_dataframe().set_index("ID")

    def node(name: str) -> Node:
        row = table.loc[name]
        if row["Feature"] == "Leaf":
            return Node(value=float(row["Gain"]), rows=float(row["Cover"]))
        feature, cut = int(row["Feature"][1:]), np.float32(row["Split"])
        return Node(
            feature=feature, goes_left=lambda x: bool(np.float32(x[feature]) < cut),
            rows=float(row["Cover"]), left=node(row["Yes"]), right=node(row["No"]),
        )  # fmt: skip

    return [node(f"{tree}-0") for tree in sorted(set(table["Tree"]))]


def of_lightgbm(model: Any) -> list[Node]:
    def node(found: dict[str, Any]) -> Node:
        if "leaf_value" in found:
            return Node(value=found["leaf_value"], rows=found.get("leaf_count", 1))
        feature, cut = found["split_feature"], found["threshold"]
        return Node(
            feature=feature, goes_left=lambda x: bool(x[feature] <= cut),
            rows=found["internal_count"], left=node(found["left_child"]),
            right=node(found["right_child"]),
        )  # fmt: skip

    return [node(tree["tree_structure"]) for tree in model.dump_model()["tree_info"]]


def trees_of(algorithm: str, model: Any) -> list[Node]:
    if algorithm == "xgboost":
        return of_xgboost(model)
    if algorithm == "lightgbm":
        return of_lightgbm(model)
    if algorithm == "decision_tree":
        return [of_scikit_learn(model.tree_, 1.0)]
    forest = model.estimators_
    return [of_scikit_learn(one.tree_, 1 / len(forest)) for one in forest]


@pytest.fixture(scope="module")
def rows() -> Rows:
    random = np.random.default_rng(0)
    x = random.normal(size=(400, FEATURES)).astype("float32").astype("float64")
    return x, (x[:, 0] + x[:, 1] * x[:, 2] + random.normal(size=400) / 2 > 0).astype("int64")


@pytest.fixture(scope="module")
def fitted(rows: Rows) -> Callable[[str], Any]:
    hyperparameters = {**HYPERPARAMETERS, "multinomial_logistic_regression": {}}

    def fit(algorithm: str) -> Any:
        return algorithms.fit(algorithm, dict(hyperparameters[algorithm]), *rows, 1)

    return fit


@pytest.mark.parametrize("algorithm", TREES)
def test_trees_are_exact(algorithm: str, rows: Rows, fitted: Callable[[str], Any]) -> None:
    model = fitted(algorithm)
    found = contributions_of(algorithm, model, rows[0][:6])
    for x, values in zip(rows[0], found.values, strict=False):
        np.testing.assert_allclose(values, shapley(trees_of(algorithm, model), x), atol=2e-6)


@pytest.mark.parametrize("algorithm", [*TREES, *LINES])
def test_they_add_up_to_what_the_model_predicts(
    algorithm: str, rows: Rows, fitted: Callable[[str], Any]
) -> None:
    model = fitted(algorithm)
    found = contributions_of(algorithm, model, rows[0])
    assert found.values.shape[:2] == rows[0].shape and found.error < TOLERANCE
    probability = algorithms.predict(algorithm, model, rows[0])
    score = found.expected + found.values.sum(axis=1)
    if algorithm == "multinomial_logistic_regression":
        assert score.shape == probability.shape == (400, 2)
        np.testing.assert_allclose(algorithms.softmax(score), probability, atol=1e-9)
    elif algorithm in ("decision_tree", "random_forest"):
        np.testing.assert_allclose(score, probability, atol=1e-9)
    else:
        np.testing.assert_allclose(1 / (1 + np.exp(-score)), probability, atol=2e-6)


def test_a_line_is_measured_from_the_mean_of_the_training_rows(
    rows: Rows, fitted: Callable[[str], Any]
) -> None:
    model = fitted("logistic_regression")
    mean = rows[0].mean(axis=0, keepdims=True)
    found = contributions_of("logistic_regression", model, mean)
    np.testing.assert_allclose(found.values, 0, atol=1e-12)
    assert found.raw[0] == pytest.approx(float(found.expected))


def test_several_classes_have_contributions_each(rows: Rows) -> None:
    x = rows[0]
    y = np.digitize(x[:, 0], [-0.5, 0.5])
    model = algorithms.fit("multinomial_logistic_regression", {}, x, y, 0)
    found = contributions_of("multinomial_logistic_regression", model, x)
    assert found.values.shape == (400, FEATURES, 3) and found.expected.shape == (3,)
    assert found.error < TOLERANCE
    first = np.abs(found.values[:, 0]).mean()
    assert first > 5 * np.abs(found.values[:, 1:]).mean(), "the first feature decides"


@pytest.mark.parametrize("rounds", [1, contributions.TREES, contributions.TREES + 1, 60])
def test_many_trees_of_xgboost_lose_no_digits(rounds: int, rows: Rows) -> None:
    x = rows[0].copy()
    x[::3, 1] = np.nan
    options = {"max_depth": 5, "eta": 0.3, "num_round": rounds, "base_score": 0.2}
    model = algorithms.fit("xgboost", options, x, rows[1], 0)
    found = contributions_of("xgboost", model, x)
    assert found.error < TOLERANCE
    probability = algorithms.predict("xgboost", model, x)
    np.testing.assert_allclose(1 / (1 + np.exp(-found.raw)), probability, atol=1e-5)


def test_many_rows_of_many_trees_of_xgboost_add_up(rows: Rows) -> None:
    """A base score that is rounded with every few trees would miss the tolerance here."""
    options = {"max_depth": 5, "eta": 0.05, "num_round": 400, "base_score": 0.1}
    model = algorithms.fit("xgboost", options, *rows, 0)
    x = np.random.default_rng(1).normal(size=(5000, FEATURES))
    assert contributions_of("xgboost", model, x).error < TOLERANCE / 2


@pytest.mark.parametrize(
    "objective", ["binary:logistic", "binary:logitraw", "binary:hinge", "reg:squarederror"]
)
def test_the_raw_score_of_xgboost_is_the_models_own(objective: str, rows: Rows) -> None:
    import xgboost

    options = {"objective": objective, "max_depth": 3, "num_round": 20, "base_score": 0.2}
    model = algorithms.fit("xgboost", options, *rows, 0)
    found = contributions_of("xgboost", model, rows[0])
    own = model.predict(xgboost.DMatrix(rows[0]), output_margin=True)
    np.testing.assert_allclose(found.raw, own, rtol=1e-5, atol=1e-5)


def test_a_raw_score_that_is_not_the_models_own_is_refused(
    rows: Rows, fitted: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fitted("xgboost")
    monkeypatch.setattr(contributions, "_base", lambda model: 1.0)
    with pytest.raises(ValueError, match="beside the model's own raw score"):
        contributions_of("xgboost", model, rows[0])


@pytest.mark.parametrize("algorithm", ["lightgbm", "xgboost", "decision_tree"])
def test_a_row_alone_has_what_it_has_among_many(
    algorithm: str, rows: Rows, fitted: Callable[[str], Any]
) -> None:
    model = fitted(algorithm)
    whole = contributions_of(algorithm, model, rows[0])
    one = contributions_of(algorithm, model, rows[0][[7]])
    np.testing.assert_allclose(one.values[0], whole.values[7], atol=1e-12)


def test_what_does_not_add_up_is_refused(
    rows: Rows, fitted: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fitted("lightgbm")
    whole = contributions_of("lightgbm", model, rows[0])
    assert Contributions(whole.values + 1e-3, whole.expected, whole.raw).error > TOLERANCE
    scaled = type(model).predict

    def wrong(self: Any, x: np.ndarray, **given: Any) -> np.ndarray:
        return scaled(self, x, **given) * (1.001 if "pred_contrib" in given else 1.0)

    monkeypatch.setattr(type(model), "predict", wrong)
    with pytest.raises(ValueError, match="miss the raw score by"):
        contributions_of("lightgbm", model, rows[0])


def test_an_unknown_algorithm_is_named(rows: Rows) -> None:
    with pytest.raises(ValueError, match="no contributions of 'oracle'"):
        contributions_of("oracle", None, rows[0])
