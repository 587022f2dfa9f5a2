"""The packages that a logged model asks for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata

EXPLAINED_BY_SHAP = ("decision_tree", "random_forest")


def requirements(algorithm: str, versions: Mapping[str, str]) -> list[str]:
    """What a logged model needs to predict and to be explained, as pip takes it.

    Args:
        versions: of the packages that trained the model, from its model.json.

    Contributions come from the model's own library; only single trees and forests need shap, of
    the version that explained them here. A model trained elsewhere, as in a container of
    SageMaker, may have older packages than that version takes: pip then chooses one that fits.
    """
    needed = {"xgboost": ["xgboost-cpu"], "lightgbm": ["lightgbm"]}.get(
        algorithm, ["scikit-learn", "skops"]
    )
    found = [
        f"{name}=={versions[name]}" for name in ["numpy", "pandas", *needed] if name in versions
    ]
    if algorithm in EXPLAINED_BY_SHAP:
        here = versions.get("numpy") == metadata.version("numpy")
        found.append(f"shap=={metadata.version('shap')}" if here else "shap")
    return found
