"""Whether the libraries packed for Spark on AWS read a model as it was meant.

Asked before a cluster is paid for; the script asks again, of what is installed where it runs
(`include/spark/bundle.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packaging.version import Version

from millrace.errors import MillraceError
from millrace.spark import REQUIREMENTS

LISTS = Version("3.1")  # from here on XGBoost keeps the intercept as a list; older ones miss it
XGBOOST = ("xgboost-cpu", "xgboost")


class ModelTooNew(MillraceError):
    """The packed libraries would misread the model; trying again does not help."""


def packed(name: str, requirements: Path = REQUIREMENTS) -> str | None:
    """The version of a library in the lock of the packed environment, None where it is not."""
    found = re.search(rf"^{re.escape(name)}==([^\s;]+)", requirements.read_text(), re.MULTILINE)
    return found[1] if found else None


def check_readable(facts: Mapping[str, Any], requirements: Path = REQUIREMENTS) -> None:
    """Check a model against the packed environment.

    Args:
        facts: model.json.

    Raises:
        ModelTooNew: it would be misread.
    """
    if facts["algorithm"] != "xgboost":
        return
    known = facts.get("versions", {})
    made = next((known[name] for name in XGBOOST if name in known), None)
    there = next((found for name in XGBOOST if (found := packed(name, requirements))), None)
    if made and there and Version(made) >= LISTS > Version(there):
        raise ModelTooNew(
            f"the champion was made with XGBoost {made}, and the environment of Spark on AWS has"
            f" {there}, which reads it wrongly: score it here (engine `local`), promote a"
            " model of LightGBM, or set MILLRACE_SPARK_ARCHIVE to an environment with XGBoost 3.1"
            " or later"
        )
