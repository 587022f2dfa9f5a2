"""Logged models ask for what predicts with them and explains them, and for nothing else."""

from __future__ import annotations

from importlib import metadata

import pytest

from millrace.tracking.requirements import requirements

OWN = {
    "xgboost": ["xgboost-cpu"],
    "lightgbm": ["lightgbm"],
    "logistic_regression": ["scikit-learn", "skops"],
    "multinomial_logistic_regression": ["scikit-learn", "skops"],
    "decision_tree": ["scikit-learn", "skops", "shap"],
    "random_forest": ["scikit-learn", "skops", "shap"],
}
PACKAGES = ("numpy", "pandas", "scikit-learn", "xgboost-cpu", "lightgbm", "skops")


@pytest.mark.parametrize("algorithm", OWN)
def test_what_was_trained_here_asks_for_the_versions_of_here(algorithm: str) -> None:
    versions = {"python": "3.12.1", **{name: metadata.version(name) for name in PACKAGES}}
    wanted = ["numpy", "pandas", *OWN[algorithm]]
    assert requirements(algorithm, versions) == [
        f"{name}=={metadata.version(name)}" for name in wanted
    ]


def test_a_forest_of_older_packages_leaves_the_version_of_shap_open() -> None:
    versions = {"numpy": "1.24.4", "pandas": "1.5.3", "scikit-learn": "1.4.2", "skops": "0.11.0"}
    assert requirements("random_forest", versions) == [
        "numpy==1.24.4", "pandas==1.5.3", "scikit-learn==1.4.2", "skops==0.11.0", "shap",
    ]  # fmt: skip
